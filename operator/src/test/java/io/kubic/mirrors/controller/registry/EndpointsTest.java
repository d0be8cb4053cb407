package io.kubic.mirrors.controller.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServiceBuilder;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec.Endpoint;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec.EndpointType;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class EndpointsTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
  private static final Duration OVERLAP = Duration.ofHours(24);

  private static Endpoint spec(EndpointType type, @Nullable String hostname, int port) {
    return new Endpoint(type, hostname, port, List.of(), null, Map.of());
  }

  private static Service service(String address) {
    return new ServiceBuilder().withNewSpec().withClusterIP(address).endSpec().build();
  }

  @Test
  void aNewRegistryIsAnnouncedByItsAddress() {
    Endpoints endpoints = new Endpoints(spec(EndpointType.ClusterIP, null, 5000), null);
    assertThat(endpoints.wanted(service("10.96.0.7"))).contains("10.96.0.7:5000");
    assertThat(endpoints.wanted(service("fd00::7"))).contains("[fd00::7]:5000");
    assertThat(endpoints.next("10.96.0.7:5000", false, true, OVERLAP, NOW).url())
        .isEqualTo("https://10.96.0.7:5000");
  }

  @Test
  void theOldEndpointIsAnnouncedUntilTheNewOneServes() {
    var before =
        new MirrorRegistryStatus.Endpoint(
            "https://10.96.0.7:5000", null, EndpointType.ClusterIP, 5000, List.of());
    Endpoints endpoints = new Endpoints(spec(EndpointType.LoadBalancer, "mirror.lan", 443), before);
    assertThat(endpoints.serviceType()).isEqualTo(EndpointType.LoadBalancer);
    assertThat(endpoints.ports()).containsExactly(443, 5000);
    var wanted = endpoints.wanted(service("10.96.0.7"));
    assertThat(wanted).contains("mirror.lan:443");
    assertThat(endpoints.hosts(wanted)).containsExactly("10.96.0.7", "mirror.lan");
    assertThat(endpoints.next("mirror.lan:443", false, true, OVERLAP, NOW).url())
        .isEqualTo("https://10.96.0.7:5000");
    var after = endpoints.next("mirror.lan:443", true, true, OVERLAP, NOW);
    assertThat(after.url()).isEqualTo("https://mirror.lan:443");
    assertThat(after.previous())
        .singleElement()
        .satisfies(old -> assertThat(old.url()).isEqualTo("https://10.96.0.7:5000"));
  }

  @Test
  void theOldEndpointStaysUntilTheOverlapIsOverAndAllNodesHaveMoved() {
    Endpoint spec = spec(EndpointType.ClusterIP, "mirror.lan", 5000);
    var status =
        new Endpoints(
                spec,
                new MirrorRegistryStatus.Endpoint(
                    "https://old.lan:32000", "old.lan", EndpointType.NodePort, 5000, List.of()))
            .next("mirror.lan:5000", true, false, OVERLAP, NOW);
    Endpoints endpoints = new Endpoints(spec, status);
    assertThat(endpoints.serviceType())
        .as("its port must stay open")
        .isEqualTo(EndpointType.NodePort);
    assertThat(endpoints.next("mirror.lan:5000", true, true, OVERLAP, NOW.plusSeconds(60)))
        .isEqualTo(status);
    Instant later = NOW.plus(OVERLAP);
    assertThat(endpoints.next("mirror.lan:5000", true, false, OVERLAP, later)).isEqualTo(status);
    assertThat(endpoints.next("mirror.lan:5000", true, true, OVERLAP, later).previous()).isEmpty();
  }

  @Test
  void aNodePortAndABalancerAreWaitedFor() {
    Service service =
        new ServiceBuilder()
            .withNewSpec()
            .addNewPort()
            .withPort(5000)
            .withNodePort(31234)
            .endPort()
            .endSpec()
            .build();
    assertThat(new Endpoints(spec(EndpointType.NodePort, "n.lan", 5000), null).wanted(service))
        .contains("n.lan:31234");
    Endpoints balancer = new Endpoints(spec(EndpointType.LoadBalancer, null, 443), null);
    assertThat(balancer.wanted(service)).isEmpty();
    Service assigned =
        new ServiceBuilder(service)
            .withNewStatus()
            .withNewLoadBalancer()
            .addNewIngress()
            .withIp("192.0.2.9")
            .endIngress()
            .endLoadBalancer()
            .endStatus()
            .build();
    assertThat(balancer.wanted(assigned)).contains("192.0.2.9:443");
  }

  @Test
  void anIngressHasItsHostAndTheDefaultPort() {
    Endpoints endpoints = new Endpoints(spec(EndpointType.Ingress, "mirror.example", 5000), null);
    assertThat(endpoints.wanted(service("10.96.0.7"))).contains("mirror.example");
    assertThat(endpoints.ingressHost()).contains("mirror.example");
    assertThat(endpoints.serviceType()).isEqualTo(EndpointType.ClusterIP);
    assertThat(Endpoints.host("[fd00::7]:5000")).isEqualTo("fd00::7");
  }
}
