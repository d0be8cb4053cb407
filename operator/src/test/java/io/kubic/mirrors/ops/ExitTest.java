package io.kubic.mirrors.ops;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.Jvm;
import io.kubic.mirrors.Jvm.Ended;
import io.kubic.mirrors.Main;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

/** Each in a process of its own, which is the thing that ends. */
class ExitTest {
  private static final int CODE = 7;

  /** Prints, registers a hook that prints, and ends. */
  static final class Ordinary {
    public static void main(String[] args) {
      Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
      System.out.print("all of it ");
      Exit.quickly(CODE);
      System.exit(CODE);
    }
  }

  /** Ends while somebody else, who waits for it in a hook, has ended it with another code. */
  static final class AfterASignal {
    public static void main(String[] args) throws InterruptedException {
      CountDownLatch ending = new CountDownLatch(1);
      CountDownLatch done = new CountDownLatch(1);
      Runtime.getRuntime()
          .addShutdownHook(
              new Thread(
                  () -> {
                    ending.countDown();
                    try {
                      done.await();
                      // For an end that would not wait for this to come first; one that waits
                      // ends as it should however long it takes.
                      Thread.sleep(200);
                    } catch (InterruptedException e) {
                      throw new IllegalStateException(e);
                    }
                    System.out.println("hook");
                  }));
      Thread.ofPlatform().daemon().start(() -> System.exit(143));
      ending.await();
      done.countDown();
      Exit.quickly(CODE);
      System.exit(CODE);
    }
  }

  private static Ended run(Class<?> program, String... options)
      throws IOException, InterruptedException {
    return Jvm.run(Jvm.command(List.of(options), program.getName()));
  }

  @Test
  void aResultThatCannotBeWrittenIsAFailure() throws Exception {
    List<String> command = Jvm.command(List.of(), Main.class.getName());
    command.add("--version");
    Process process = new ProcessBuilder(command).redirectOutput(new File("/dev/full")).start();
    try (BufferedReader err = process.errorReader()) {
      assertThat(err.readAllAsString()).startsWith("error: standard output");
      assertThat(process.waitFor()).isEqualTo(1);
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void nowTellsAllAndTheCodeAndCallsNoHook() throws Exception {
    assertThat(
            run(
                Ordinary.class,
                "--enable-native-access=ALL-UNNAMED",
                "-D" + Exit.PROPERTY + "=now"))
        .isEqualTo(new Ended(CODE, "all of it "));
  }

  @Test
  void withoutTheWordTheEndIsTheUsualOne() throws Exception {
    Ended usual = new Ended(CODE, "all of it hook" + System.lineSeparator());
    assertThat(run(Ordinary.class)).isEqualTo(usual);
    assertThat(
            run(
                Ordinary.class,
                "--enable-native-access=ALL-UNNAMED",
                "-D" + Exit.PROPERTY + "=learn"))
        .isEqualTo(usual);
  }

  @Test
  void whereTheJvmAllowsNoNativeCallTheEndIsTheUsualOne() throws Exception {
    Ended ended =
        run(Ordinary.class, "--illegal-native-access=deny", "-D" + Exit.PROPERTY + "=now");
    assertThat(ended.code()).isEqualTo(CODE);
    assertThat(ended.out()).endsWith("hook" + System.lineSeparator());
  }

  @Test
  void aProcessThatIsEndingAlreadyEndsAsThatSays() throws Exception {
    assertThat(
            run(
                AfterASignal.class,
                "--enable-native-access=ALL-UNNAMED",
                "-D" + Exit.PROPERTY + "=now"))
        .isEqualTo(new Ended(143, "hook" + System.lineSeparator()));
  }
}
