package io.kubic.mirrors.controller.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import java.util.List;
import org.junit.jupiter.api.Test;

class RegistryResourcesTest {
  @Test
  void thePodsMeetTheRestrictedProfileAndHoldNoApiCredentials() {
    Deployment deployment = RegistryResources.deployment(Models.of("{}"), "hash");
    var pod = deployment.getSpec().getTemplate().getSpec();
    assertThat(pod.getAutomountServiceAccountToken()).isFalse();
    assertThat(pod.getSecurityContext().getRunAsNonRoot()).isTrue();
    assertThat(pod.getSecurityContext().getSeccompProfile().getType()).isEqualTo("RuntimeDefault");
    assertThat(pod.getContainers())
        .allSatisfy(
            c -> {
              assertThat(c.getSecurityContext().getAllowPrivilegeEscalation()).isFalse();
              assertThat(c.getSecurityContext().getReadOnlyRootFilesystem()).isTrue();
              assertThat(c.getSecurityContext().getCapabilities().getDrop()).containsExactly("ALL");
              assertThat(c.getEnv()).noneMatch(e -> e.getValueFrom() != null);
            });
  }

  @Test
  void theRegistryIsASidecarThatStopsLast() {
    var pod =
        RegistryResources.deployment(Models.of("{}"), "hash").getSpec().getTemplate().getSpec();
    assertThat(pod.getInitContainers())
        .singleElement()
        .satisfies(c -> assertThat(c.getRestartPolicy()).isEqualTo("Always"));
  }

  @Test
  void aNewUserOrRuleChangesNothingThatWouldRestartAPod() {
    Deployment before = RegistryResources.deployment(Models.of("{}"), "hash");
    Deployment after =
        RegistryResources.deployment(
            Models.of(
                "{auth: {users: [{name: alice, role: Pull, passwordSecretRef: {name: alice}}],"
                    + " acl: [{account: alice, actions: [pull]}]}}"),
            "hash");
    assertThat(after).isEqualTo(before);
  }

  @Test
  void aClaimOfOneNodeKeepsTheNewPodOfARolloutBesideTheOldOne() {
    assertThat(
            RegistryResources.deployment(Models.of("{}"), "hash")
                .getSpec()
                .getTemplate()
                .getSpec()
                .getAffinity())
        .isNotNull();
    assertThat(
            RegistryResources.deployment(Models.of("{storage: {s3: {bucket: registry}}}"), "hash")
                .getSpec()
                .getTemplate()
                .getSpec()
                .getAffinity())
        .isNull();
  }

  @Test
  void aClaimHasNoOwnerSoThatItsEndIsDecidedAtDeletion() {
    assertThat(RegistryResources.claim(Models.of("{}")).getMetadata().getOwnerReferences())
        .isEmpty();
    assertThat(
            RegistryResources.claim(Models.of("{storage: {onDelete: Delete}}"))
                .getMetadata()
                .getOwnerReferences())
        .isEmpty();
  }

  @Test
  void onlyTheGatewaysPortIsOpenToEverybody() {
    var policy = RegistryResources.networkPolicy(Models.of("{}")).getSpec();
    assertThat(policy.getPolicyTypes()).containsExactly("Ingress", "Egress");
    assertThat(policy.getEgress()).isEmpty();
    assertThat(policy.getIngress().stream().filter(rule -> rule.getFrom().isEmpty()))
        .singleElement()
        .satisfies(
            rule ->
                assertThat(rule.getPorts())
                    .singleElement()
                    .satisfies(port -> assertThat(port.getPort().getIntVal()).isEqualTo(5000)));
    assertThat(
            RegistryResources.networkPolicy(Models.of("{storage: {s3: {bucket: registry}}}"))
                .getSpec()
                .getPolicyTypes())
        .containsExactly("Ingress");
  }

  @Test
  void quantitiesHaveTheFormThatTheServerKeeps() {
    assertThat(RegistryResources.canonical(new Quantity("1024Mi")).toString()).isEqualTo("1Gi");
    assertThat(RegistryResources.canonical(new Quantity("50Gi")).toString()).isEqualTo("50Gi");
    assertThat(RegistryResources.canonical(new Quantity("1500Mi")).toString()).isEqualTo("1500Mi");
  }

  @Test
  void theCertificateNamesServiceAddressAndExtraNames() {
    assertThat(
            Models.of("{endpoint: {extraNames: [mirror.example.com, 192.0.2.7]}}")
                .subjectAlternativeNames("10.96.0.7", List.of("old.example.com")))
        .containsExactly(
            "mirror-registry",
            "mirror-registry.ns",
            "mirror-registry.ns.svc",
            "mirror-registry.ns.svc.cluster.local",
            "old.example.com",
            "10.96.0.7",
            "192.0.2.7",
            "mirror.example.com");
  }

  @Test
  void theGatewayIsToldNoSecret() {
    String json = GatewayFiles.config(Models.of("{}"));
    assertThat(json).doesNotContain("password\"").contains("\"anonymousPull\" : true");
  }
}
