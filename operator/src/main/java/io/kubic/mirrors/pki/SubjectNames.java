package io.kubic.mirrors.pki;

import java.net.InetAddress;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * The names a server answers to: DNS names in lower case, and addresses as literals in Java's
 * canonical form. Sorted, without doubles.
 */
public record SubjectNames(SortedSet<String> dns, SortedSet<String> ips) {
  private static final int SAN_DNS = 2;
  private static final int SAN_IP = 7;

  public SubjectNames {
    SortedSet<String> names = new TreeSet<>();
    for (String name : dns) {
      names.add(checkDns(name.toLowerCase(Locale.ROOT)));
    }
    SortedSet<String> addresses = new TreeSet<>();
    for (String address : ips) {
      addresses.add(canonical(address));
    }
    dns = java.util.Collections.unmodifiableSortedSet(names);
    ips = java.util.Collections.unmodifiableSortedSet(addresses);
  }

  /** DNS names and address literals, mixed as a user writes them. */
  public static SubjectNames of(Collection<String> hosts) {
    SortedSet<String> dns = new TreeSet<>();
    SortedSet<String> ips = new TreeSet<>();
    for (String host : hosts) {
      (isAddress(host) ? ips : dns).add(host);
    }
    return new SubjectNames(dns, ips);
  }

  /** The subject alternative names of a certificate that a TLS client looks at. */
  public static SubjectNames of(X509Certificate certificate) {
    SortedSet<String> dns = new TreeSet<>();
    SortedSet<String> ips = new TreeSet<>();
    try {
      Collection<List<?>> names = certificate.getSubjectAlternativeNames();
      if (names != null) {
        for (List<?> name : names) {
          switch ((Integer) name.get(0)) {
            case SAN_DNS -> dns.add(String.valueOf(name.get(1)));
            case SAN_IP -> ips.add(String.valueOf(name.get(1)));
            default -> {
              // mail addresses and the like are no server names
            }
          }
        }
      }
      return new SubjectNames(dns, ips);
    } catch (CertificateParsingException | IllegalArgumentException e) {
      return new SubjectNames(new TreeSet<>(), new TreeSet<>());
    }
  }

  /** Whether every wanted name is among these, counting wildcards of one label (RFC 6125 6.4.3). */
  public boolean cover(SubjectNames wanted) {
    return ips.containsAll(wanted.ips) && wanted.dns.stream().allMatch(this::covers);
  }

  /** These and the others. */
  public SubjectNames and(SubjectNames others) {
    SortedSet<String> allDns = new TreeSet<>(dns);
    allDns.addAll(others.dns);
    SortedSet<String> allIps = new TreeSet<>(ips);
    allIps.addAll(others.ips);
    return new SubjectNames(allDns, allIps);
  }

  public boolean isEmpty() {
    return dns.isEmpty() && ips.isEmpty();
  }

  private boolean covers(String name) {
    int dot = name.indexOf('.');
    return dns.contains(name) || (dot > 0 && dns.contains("*" + name.substring(dot)));
  }

  private static boolean isAddress(String host) {
    try {
      canonical(host);
      return true;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  private static String canonical(String address) {
    return InetAddress.ofLiteral(address).getHostAddress();
  }

  private static String checkDns(String name) {
    String labels = name.startsWith("*.") ? name.substring(2) : name;
    boolean good = !labels.isEmpty() && name.length() <= 253;
    for (String label : labels.split("\\.", -1)) {
      good &=
          !label.isEmpty()
              && label.length() <= 63
              && label
                  .chars()
                  .allMatch(
                      c -> (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
              && label.charAt(0) != '-'
              && label.charAt(label.length() - 1) != '-';
    }
    if (!good) {
      throw new IllegalArgumentException("'" + name + "' is no DNS name and no address");
    }
    return name;
  }
}
