package io.kubic.mirrors.oci.registry;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** An internet of our own: names, addresses, and which server of the test answers at them. */
final class TestNetwork implements Network {
  private final Map<String, List<String>> names = new ConcurrentHashMap<>();
  private final Map<String, Integer> lookups = new ConcurrentHashMap<>();
  private final Map<String, Integer> servers = new ConcurrentHashMap<>();

  /** Every address that was connected to. */
  final List<InetAddress> reached = new CopyOnWriteArrayList<>();

  private Integer otherwise;

  /** The addresses of a name, one for each time it is asked for; the last one stays. */
  TestNetwork name(String name, String... addresses) {
    names.put(name, List.of(addresses));
    return this;
  }

  TestNetwork at(String address, int port) {
    servers.put(address, port);
    return this;
  }

  /** Who answers everywhere else. */
  TestNetwork otherwise(int port) {
    otherwise = port;
    return this;
  }

  @Override
  public List<InetAddress> lookup(String host) throws UnknownHostException {
    List<String> known = names.get(host);
    if (known != null) {
      int time = lookups.merge(host, 1, Integer::sum);
      return List.of(InetAddress.getByName(known.get(Math.min(time, known.size()) - 1)));
    }
    boolean literal = host.indexOf(':') >= 0 || host.chars().allMatch(c -> c < 'A');
    if (!literal) {
      throw new UnknownHostException(host);
    }
    return List.of(InetAddress.getByName(host));
  }

  @Override
  public SocketAddress route(SocketAddress address) {
    InetSocketAddress inet = (InetSocketAddress) address;
    reached.add(inet.getAddress());
    Integer port = servers.get(inet.getAddress().getHostAddress());
    if (port == null) {
      port = otherwise;
    }
    return port == null ? address : new InetSocketAddress("127.0.0.1", port);
  }

  /** The system's clock, put forward by every pause instead of waiting. */
  static final class Hurry extends Clock implements Pause {
    final List<Duration> pauses = new ArrayList<>();
    private Duration ahead = Duration.ZERO;

    @Override
    public synchronized void pause(Duration duration) throws InterruptedException {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      pauses.add(duration);
      ahead = ahead.plus(duration);
    }

    @Override
    public synchronized Instant instant() {
      return Instant.now().plus(ahead);
    }

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }
  }
}
