package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.LoadBalancerIngress;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServicePort;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec.EndpointType;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus.PreviousEndpoint;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where a registry is reached: what is announced in the status, what the spec wants, and what was
 * announced before and is kept for those who still use it. A new endpoint is announced only when it
 * is served with its name in the certificate; an old one goes when the overlap is over and all
 * nodes have a newer configuration. Pure.
 */
final class Endpoints {
  private static final String SCHEME = "https://";
  private final MirrorRegistrySpec.Endpoint spec;
  private final @Nullable PreviousEndpoint announced;
  private final List<PreviousEndpoint> previous;

  Endpoints(MirrorRegistrySpec.Endpoint spec, MirrorRegistryStatus.@Nullable Endpoint status) {
    this.spec = spec;
    String url = status == null ? null : status.url();
    this.announced =
        status == null || url == null
            ? null
            : new PreviousEndpoint(url, status.type(), status.port(), null);
    this.previous = status == null ? List.of() : status.previous();
  }

  private Stream<PreviousEndpoint> older() {
    return Stream.concat(Stream.ofNullable(announced), previous.stream());
  }

  /** The type of Service that serves every endpoint: each type has what the one before it has. */
  EndpointType serviceType() {
    return Stream.concat(
            Stream.of(spec.type()), older().map(PreviousEndpoint::type).flatMap(Stream::ofNullable))
        .filter(type -> type != EndpointType.Ingress)
        .max(EndpointType::compareTo)
        .orElse(EndpointType.ClusterIP);
  }

  /** Ports of the Service. */
  Set<Integer> ports() {
    Set<Integer> ports = new TreeSet<>(Set.of(spec.port()));
    older().map(PreviousEndpoint::port).flatMap(Stream::ofNullable).forEach(ports::add);
    return ports;
  }

  /** The host of the Ingress; empty when there is none. */
  Optional<String> ingressHost() {
    String hostname = spec.hostname();
    if (spec.type() == EndpointType.Ingress && hostname != null) {
      return Optional.of(hostname);
    }
    return older()
        .filter(e -> e.type() == EndpointType.Ingress)
        .map(e -> host(authority(e.url())))
        .findFirst();
  }

  /** {@code host[:port]} that the spec wants; empty while a load balancer has no address. */
  Optional<String> wanted(Service service) {
    String hostname = spec.hostname();
    return switch (spec.type()) {
      case ClusterIP ->
          Optional.of(
              join(hostname != null ? hostname : service.getSpec().getClusterIP(), spec.port()));
      case Ingress -> Optional.ofNullable(hostname);
      case NodePort ->
          hostname == null
              ? Optional.empty()
              : service.getSpec().getPorts().stream()
                  .filter(port -> port.getPort().equals(spec.port()))
                  .map(ServicePort::getNodePort)
                  .flatMap(Stream::ofNullable)
                  .findFirst()
                  .map(port -> join(hostname, port));
      case LoadBalancer ->
          (hostname != null ? Optional.of(hostname) : balancer(service))
              .map(host -> join(host, spec.port()));
    };
  }

  private static Optional<String> balancer(Service service) {
    if (service.getStatus() == null || service.getStatus().getLoadBalancer() == null) {
      return Optional.empty();
    }
    List<LoadBalancerIngress> ingress = service.getStatus().getLoadBalancer().getIngress();
    return ingress == null
        ? Optional.empty()
        : ingress.stream()
            .flatMap(i -> Stream.ofNullable(i.getIp() != null ? i.getIp() : i.getHostname()))
            .findFirst();
  }

  /** {@code host[:port]} that is announced now; empty for a new registry. */
  Optional<String> announced() {
    return Optional.ofNullable(announced).map(e -> authority(e.url()));
  }

  /** Every {@code host[:port]} by which somebody may come. */
  List<String> authorities(Optional<String> wanted) {
    Set<String> all = new LinkedHashSet<>();
    announced().ifPresent(all::add);
    wanted.ifPresent(all::add);
    previous.forEach(e -> all.add(authority(e.url())));
    return new ArrayList<>(all);
  }

  /** Hosts that the certificate must cover. */
  List<String> hosts(Optional<String> wanted) {
    return authorities(wanted).stream().map(Endpoints::host).distinct().toList();
  }

  /**
   * What is to be announced.
   *
   * @param serves whether what the spec wants answers as it should, with its name in the
   *     certificate on every pod
   * @param nodesMoved whether all nodes have what was announced last
   */
  MirrorRegistryStatus.Endpoint next(
      String wanted, boolean serves, boolean nodesMoved, Duration overlap, Instant now) {
    PreviousEndpoint next = new PreviousEndpoint(SCHEME + wanted, spec.type(), spec.port(), null);
    List<PreviousEndpoint> kept = new ArrayList<>();
    for (PreviousEndpoint old : previous) {
      String since = old.since();
      boolean over = since == null || !now.isBefore(Instant.parse(since).plus(overlap));
      if (!(over && nodesMoved) && !old.url().equals(next.url())) {
        kept.add(old);
      }
    }
    PreviousEndpoint current = announced;
    if (current != null && !current.url().equals(next.url())) {
      if (!serves) {
        next = current;
      } else {
        kept.addFirst(
            new PreviousEndpoint(current.url(), current.type(), current.port(), now.toString()));
      }
    }
    return new MirrorRegistryStatus.Endpoint(
        next.url(), spec.hostname(), next.type(), next.port(), kept);
  }

  static String authority(String url) {
    return url.substring(url.indexOf("://") + 3);
  }

  /** The host of {@code host[:port]}, without brackets. */
  static String host(String authority) {
    if (authority.startsWith("[")) {
      return authority.substring(1, authority.indexOf(']'));
    }
    int colon = authority.indexOf(':');
    return colon < 0 ? authority : authority.substring(0, colon);
  }

  private static String join(String host, int port) {
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
  }
}
