package io.kubic.mirrors;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** Who may know whom. A room that needs more than this is a room in the wrong place. */
@AnalyzeClasses(packages = "io.kubic.mirrors", importOptions = ImportOption.DoNotIncludeTests.class)
class HouseTest {
  private static final String ROOT = "io.kubic.mirrors.";
  private static final String API = "io.kubic.mirrors.api..";

  @ArchTest
  static final ArchRule apiKnowsNoRoom =
      room("api", "java..", "com.fasterxml..", "io.fabric8..", "org.jspecify..", API);

  @ArchTest static final ArchRule ociKnowsNobody = knowsOnly("oci");

  @ArchTest static final ArchRule listKnowsOci = knowsOnly("list", "oci");

  @ArchTest static final ArchRule pkiKnowsOciAtMost = knowsOnly("pki", "oci");

  @ArchTest static final ArchRule syncKnowsOciAndList = knowsOnly("sync", "oci", "list");

  @ArchTest static final ArchRule bundleKnowsSync = knowsOnly("bundle", "oci", "list", "sync");

  @ArchTest static final ArchRule gatewayKnowsOciAndPki = knowsOnly("gateway", "oci", "pki", "ops");

  @ArchTest static final ArchRule upkeepKnowsOci = knowsOnly("upkeep", "oci");

  @ArchTest static final ArchRule nodeKnowsNobody = knowsOnly("node", "ops");

  @ArchTest
  static final ArchRule nobodyKnowsTheControllers =
      noClasses()
          .that()
          .resideOutsideOfPackages(ROOT + "controller..", ROOT + "cli..", "io.kubic.mirrors")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(ROOT + "controller..", ROOT + "cli..")
          .allowEmptyShould(true);

  @ArchTest
  static final ArchRule josdkLivesInTheControllers =
      only("io.javaoperatorsdk..", ROOT + "controller..", ROOT + "cli..");

  @ArchTest
  static final ArchRule kubernetesClientLivesInControllersAndCli =
      only("io.fabric8.kubernetes.client..", ROOT + "controller..", ROOT + "cli..", API);

  @ArchTest
  static final ArchRule okHttpLivesInTheRegistryClient =
      only("okhttp3..", ROOT + "oci.registry..", ROOT + "cli..", ROOT + "controller..");

  @ArchTest
  static final ArchRule theS3ClientLivesInOneRoom = only("software.amazon..", ROOT + "bundle.s3..");

  @ArchTest
  static final ArchRule bouncyCastleLivesInPki =
      only("org.bouncycastle..", ROOT + "pki..", ROOT + "gateway..");

  @ArchTest
  static final ArchRule jettyLivesInTheGateway = only("org.eclipse.jetty..", ROOT + "gateway..");

  @ArchTest
  static final ArchRule patternsRunOnRe2 =
      noClasses()
          .that()
          .resideInAnyPackage(
              ROOT + "list..", ROOT + "sync..", ROOT + "oci..", ROOT + "gateway..", ROOT + "node..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("java.util.regex..")
          .allowEmptyShould(true);

  @ArchTest
  static final ArchRule onlyMainExits =
      noClasses()
          .that()
          .doNotHaveSimpleName("Main")
          .should()
          .callMethod(System.class, "exit", int.class);

  private static ArchRule knowsOnly(String room, String... others) {
    String[] forbidden =
        java.util.stream.Stream.of(
                "oci",
                "list",
                "sync",
                "bundle",
                "pki",
                "gateway",
                "node",
                "upkeep",
                "controller",
                "cli",
                "ops")
            .filter(name -> !name.equals(room) && !java.util.List.of(others).contains(name))
            .map(name -> ROOT + name + "..")
            .toArray(String[]::new);
    return noClasses()
        .that()
        .resideInAPackage(ROOT + room + "..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(forbidden)
        .allowEmptyShould(true);
  }

  private static ArchRule room(String name, String... allowed) {
    return com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes()
        .that()
        .resideInAPackage(ROOT + name + "..")
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(allowed)
        .allowEmptyShould(true);
  }

  private static ArchRule only(String library, String... rooms) {
    return noClasses()
        .that()
        .resideOutsideOfPackages(rooms)
        .should()
        .dependOnClassesThat()
        .resideInAPackage(library)
        .allowEmptyShould(true);
  }
}
