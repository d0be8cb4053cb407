package io.kubic.mirrors.upkeep;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class RegistryProgramTest {
  private static final String MISSING =
      "failed to garbage collect: failed to mark: filesystem: Path not found:"
          + " /docker/registry/v2/repositories/";

  @Test
  void aRepositoryWithoutLayersIsRecognised() {
    assertThat(RegistryProgram.failed(1, MISSING + "a/app/_layers"))
        .isInstanceOfSatisfying(
            NoLayersException.class, e -> assertThat(e.repository()).isEqualTo("a/app"));
  }

  @Test
  void whateverElseTheProgramComplainsOfIsTold() {
    for (String complaint :
        new String[] {
          "", MISSING + "_layers", MISSING + "../_layers", MISSING + "a/app/_manifests", "no space"
        }) {
      assertThat(RegistryProgram.failed(1, complaint))
          .isNotInstanceOf(NoLayersException.class)
          .hasMessageContaining("ended with 1")
          .hasMessageEndingWith(complaint.strip());
    }
  }
}
