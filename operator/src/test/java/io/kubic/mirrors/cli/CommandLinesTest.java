package io.kubic.mirrors.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class CommandLinesTest {
  @Test
  void aCommandIsTheSameWhetherItsNameIsKnownBeforeOrNot() {
    Map<String, CommandLine> all = CommandLines.create().getSubcommands();
    assertThat(all).containsKey("sync");
    all.forEach(
        (name, command) -> {
          CommandLine quick = CommandLines.create(name, "--help").getSubcommands().get(name);
          assertThat(quick.getUsageMessage()).isEqualTo(command.getUsageMessage());
          assertThat(quick.isCaseInsensitiveEnumValuesAllowed()).isTrue();
        });
  }

  @Test
  void whatIsNoCommandFindsAllOfThem() {
    int all = CommandLines.create().getSubcommands().size();
    assertThat(CommandLines.create().getSubcommands()).hasSize(all);
    assertThat(CommandLines.create("snyc").getSubcommands()).hasSize(all);
    assertThat(CommandLines.create("--help").getSubcommands()).hasSize(all);
    assertThat(CommandLines.create("help", "sync").getSubcommands()).hasSize(all);
    assertThat(CommandLines.create("sync").getSubcommands()).hasSize(1);
  }
}
