package io.kubic.mirrors.ops;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.Jvm;
import io.kubic.mirrors.Jvm.Ended;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TerminalTest {
  @TempDir private Path directory;

  /** Tells what it is told. */
  static final class Asks {
    public static void main(String[] args) {
      System.out.print(Terminal.isStandardError());
    }
  }

  /** Whether a stream to something is a terminal, whatever the console says. */
  private boolean is(String open, boolean console) throws IOException {
    Path link = Files.createSymbolicLink(directory.resolve("2"), Path.of(open));
    try {
      return Terminal.is(link, () -> console);
    } finally {
      Files.delete(link);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"/dev/pts/0", "/dev/tty", "/dev/tty1", "/dev/ttyS0", "/dev/console"})
  void aTerminalIsOneWhateverTheOtherStreamsAre(String open) throws IOException {
    assertThat(is(open, false)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"/var/log/sync", "/dev/null", "pipe:[4711]", "socket:[4711]"})
  void aFileOrAPipeIsNoneWhateverTheOtherStreamsAre(String open) throws IOException {
    assertThat(is(open, true)).isFalse();
  }

  @Test
  void whereNothingIsKnownOfTheStreamTheConsoleDecides() {
    Path missing = directory.resolve("2");
    assertThat(Terminal.is(missing, () -> true)).isTrue();
    assertThat(Terminal.is(missing, () -> false)).isFalse();
  }

  @Test
  void aPipeOfAProcessIsNone() throws Exception {
    assertThat(Jvm.run(Jvm.command(List.of(), Asks.class.getName())))
        .isEqualTo(new Ended(0, "false"));
  }
}
