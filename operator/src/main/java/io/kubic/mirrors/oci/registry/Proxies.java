package io.kubic.mirrors.oci.registry;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.URI;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Which HTTP proxy leads to a host.
 *
 * @param http for {@code http} URLs; null for none
 * @param https for {@code https} URLs; null for none
 * @param except hosts reached without one: a name with its subdomains, {@code host:port}, an
 *     address or network as in {@code 10.0.0.0/8}, or {@code *}
 */
public record Proxies(@Nullable Server http, @Nullable Server https, List<String> except) {
  public Proxies {
    except = List.copyOf(except);
  }

  /**
   * One proxy.
   *
   * @param login null when it asks for none
   */
  public record Server(String host, int port, Credentials.@Nullable Login login) {
    /**
     * @param url {@code http://host[:port]}, perhaps with userinfo
     * @throws IllegalArgumentException when it has another form; the message has no userinfo
     */
    public static Server parse(String url) {
      URI uri;
      try {
        uri = URI.create(url.indexOf("://") < 0 ? "http://" + url : url);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("the proxy is no URL of the form http://host:port");
      }
      if (uri.getHost() == null || !"http".equalsIgnoreCase(uri.getScheme())) {
        throw new IllegalArgumentException("the proxy is no URL of the form http://host:port");
      }
      String user = uri.getUserInfo();
      Credentials.Login login = null;
      if (user != null) {
        int colon = user.indexOf(':');
        login =
            new Credentials.Login(
                colon < 0 ? user : user.substring(0, colon),
                new Secret(colon < 0 ? "" : user.substring(colon + 1)));
      }
      return new Server(uri.getHost(), uri.getPort() < 0 ? 3128 : uri.getPort(), login);
    }

    Proxy toProxy() {
      return new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved(host, port));
    }
  }

  /** No proxy. */
  public static Proxies none() {
    return new Proxies(null, null, List.of());
  }

  /** One proxy for everything. */
  public static Proxies of(Server server) {
    return new Proxies(server, server, List.of());
  }

  /**
   * The proxies of {@code HTTP_PROXY}, {@code HTTPS_PROXY} and {@code NO_PROXY}, in either case.
   *
   * @throws IllegalArgumentException when one is malformed
   */
  public static Proxies fromEnvironment(Map<String, String> environment) {
    List<String> except = new ArrayList<>();
    String list = variable(environment, "NO_PROXY");
    int start = 0;
    while (start <= list.length()) {
      int comma = list.indexOf(',', start);
      int end = comma < 0 ? list.length() : comma;
      String entry = list.substring(start, end).strip().toLowerCase(Locale.ROOT);
      if (!entry.isEmpty()) {
        except.add(entry);
      }
      start = end + 1;
    }
    String http = variable(environment, "HTTP_PROXY");
    String https = variable(environment, "HTTPS_PROXY");
    return new Proxies(
        http.isEmpty() ? null : Server.parse(http),
        https.isEmpty() ? null : Server.parse(https),
        except);
  }

  private static String variable(Map<String, String> environment, String name) {
    String value = environment.getOrDefault(name, "");
    return value.isEmpty() ? environment.getOrDefault(name.toLowerCase(Locale.ROOT), "") : value;
  }

  /** The proxy to a host. */
  public Optional<Server> to(boolean tls, String host, int port) {
    Server server = tls ? https : http;
    if (server == null || host.equals("localhost") || host.startsWith("127.")) {
      return Optional.empty();
    }
    for (String entry : except) {
      String name = entry.startsWith("*.") ? entry.substring(2) : entry;
      name = name.startsWith(".") ? name.substring(1) : name;
      if (name.equals("*")
          || name.equals(host)
          || name.equals(host + ":" + port)
          || host.endsWith("." + name)
          || isWithin(host, name)) {
        return Optional.empty();
      }
    }
    return Optional.of(server);
  }

  /** Whether a literal address is of a network in the form {@code 10.0.0.0/8}. */
  private static boolean isWithin(String host, String network) {
    int slash = network.indexOf('/');
    if (slash < 0 || !isLiteral(host) || !isLiteral(network.substring(0, slash))) {
      return false;
    }
    try {
      byte[] address = InetAddress.getByName(host).getAddress();
      byte[] prefix = InetAddress.getByName(network.substring(0, slash)).getAddress();
      int bits = Integer.parseInt(network.substring(slash + 1));
      if (address.length != prefix.length || bits < 0 || bits > 8 * prefix.length) {
        return false;
      }
      for (int i = 0; i < bits; i++) {
        int mask = 0x80 >> (i % 8);
        if ((address[i / 8] & mask) != (prefix[i / 8] & mask)) {
          return false;
        }
      }
      return true;
    } catch (UnknownHostException | NumberFormatException e) {
      return false;
    }
  }

  /** An address, not a name: nothing is looked up for it. */
  private static boolean isLiteral(String host) {
    return host.indexOf(':') >= 0
        || !host.isEmpty() && host.chars().allMatch(c -> c >= '0' && c <= '9' || c == '.');
  }
}
