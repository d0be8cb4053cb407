package io.kubic.mirrors.ops;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.Jvm;
import java.lang.management.ManagementFactory;
import java.util.List;
import jdk.management.VirtualThreadSchedulerMXBean;
import org.junit.jupiter.api.Test;

/** In processes of their own, since the first virtual thread decides. */
class CarriersTest {
  /** Prints how many there are at the start and later. */
  static final class Program {
    public static void main(String[] args) throws InterruptedException {
      if (args.length == 0) {
        Carriers.few();
      }
      Thread.ofVirtual().start(() -> {}).join();
      int first = parallelism();
      Carriers.all();
      System.out.print(first + " " + parallelism());
    }

    private static int parallelism() {
      return ManagementFactory.getPlatformMXBean(VirtualThreadSchedulerMXBean.class)
          .getParallelism();
    }
  }

  private static String run(String option, String... arguments) throws Exception {
    List<String> command =
        Jvm.command(List.of("-XX:ActiveProcessorCount=6", option), Program.class.getName());
    command.addAll(List.of(arguments));
    Jvm.Ended ended = Jvm.run(command);
    assertThat(ended.code()).as(ended.out()).isZero();
    return ended.out();
  }

  @Test
  void halfOfThemAtFirstAndAllLater() throws Exception {
    assertThat(run("-Dany=thing")).isEqualTo("3 6");
  }

  @Test
  void asManyAsWhoStartedTheProcessHasSaid() throws Exception {
    assertThat(run("-D" + Carriers.PROPERTY + "=4")).isEqualTo("4 4");
  }

  @Test
  void asManyAsEverWhereNobodyAskedForFew() throws Exception {
    assertThat(run("-Dany=thing", "usual")).isEqualTo("6 6");
  }
}
