package io.kubic.mirrors.gateway;

import com.google.re2j.Matcher;
import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import io.kubic.mirrors.gateway.GatewayConfig.Role;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Who may do what: the first rule that matches decides, as in docker_auth; where none does, the
 * account's role. Pure.
 */
final class Acl {
  private final List<Compiled> rules;

  private Acl(List<Compiled> rules) {
    this.rules = rules;
  }

  /** Who asks: an account, the empty string for nobody in particular, and from where. */
  record Subject(String account, Optional<Role> role, InetAddress address) {}

  /**
   * @throws IllegalArgumentException with one line that names the rule and its member
   */
  static Acl compile(List<AclRule> rules) {
    List<Compiled> compiled = new ArrayList<>();
    for (int i = 0; i < rules.size(); i++) {
      compiled.add(new Compiled(rules.get(i), "acl[" + i + "]"));
    }
    return new Acl(List.copyOf(compiled));
  }

  /** Whether a rule speaks of the anonymous account, so that nobody need log in to be somebody. */
  boolean namesAnonymous() {
    return rules.stream().anyMatch(rule -> "".equals(rule.rule.account()));
  }

  /** The part of what is asked that is allowed; empty actions when nothing is. */
  Access allowed(Subject subject, Access asked, String service, boolean anonymousPull) {
    for (Compiled rule : rules) {
      if (rule.matches(subject, asked, service)) {
        return grant(asked, new LinkedHashSet<>(rule.rule.actions()));
      }
    }
    return grant(asked, byRole(subject, asked, anonymousPull));
  }

  private static Access grant(Access asked, Set<String> allowed) {
    if (allowed.contains(Access.ALL)) {
      return asked;
    }
    Set<String> granted = new LinkedHashSet<>(asked.actions());
    if (granted.contains(Access.ALL) && asked.type().equals(Access.REPOSITORY)) {
      // Asked for everything, a client gets what there is for it.
      granted.addAll(allowed);
    }
    granted.retainAll(allowed);
    return new Access(asked.type(), asked.name(), granted);
  }

  private static Set<String> byRole(Subject subject, Access asked, boolean anonymousPull) {
    if (subject.role().isEmpty() && !anonymousPull) {
      return Set.of();
    }
    Role role = subject.role().orElse(Role.Pull);
    boolean catalog = asked.type().equals("registry") && asked.name().equals("catalog");
    if (role == Role.Admin || catalog) {
      return Set.of(Access.ALL);
    }
    if (!asked.type().equals(Access.REPOSITORY)) {
      return Set.of();
    }
    return role == Role.Push ? Set.of(Access.PULL, Access.PUSH) : Set.of(Access.PULL);
  }

  private static final class Compiled {
    private final AclRule rule;
    private final @Nullable Member account;
    private final @Nullable Member type;
    private final @Nullable Member name;
    private final @Nullable Member service;
    private final @Nullable Network network;

    Compiled(AclRule rule, String path) {
      this.rule = rule;
      account = Member.of(rule.account(), path + ".account");
      type = Member.of(rule.type(), path + ".type");
      name = Member.of(rule.name(), path + ".name");
      service = Member.of(rule.service(), path + ".service");
      network = rule.ip() == null ? null : Network.parse(rule.ip(), path + ".ip");
    }

    boolean matches(Subject subject, Access asked, String serviceName) {
      if (network != null && !network.contains(subject.address())) {
        return false;
      }
      Map<String, String> variables = new LinkedHashMap<>();
      variables.put("${account}", subject.account());
      variables.put("${type}", asked.type());
      variables.put("${name}", asked.name());
      variables.put("${service}", serviceName);
      groups(variables, "account", account, subject.account());
      groups(variables, "type", type, asked.type());
      groups(variables, "name", name, asked.name());
      groups(variables, "service", service, serviceName);
      return (account == null || account.matches(subject.account(), variables))
          && (type == null || type.matches(asked.type(), variables))
          && (name == null || name.matches(asked.name(), variables))
          && (service == null || service.matches(serviceName, variables));
    }

    private static void groups(
        Map<String, String> variables, String field, @Nullable Member member, String value) {
      if (member != null && member.fixed != null) {
        Matcher matcher = member.fixed.matcher(value);
        if (matcher.find()) {
          for (int i = 0; i <= matcher.groupCount(); i++) {
            String group = matcher.group(i);
            variables.put("${" + field + ":" + i + "}", group == null ? "" : group);
          }
        }
      }
    }
  }

  /** One member of a rule: compiled once, or for each question when it holds variables. */
  private static final class Member {
    private final String text;
    private final boolean expression;
    private final boolean variable;
    private final @Nullable Pattern fixed;
    private final @Nullable Glob glob;

    private Member(String text, String path) {
      this.text = text;
      expression = text.length() > 2 && text.startsWith("/") && text.endsWith("/");
      variable = text.contains("${");
      try {
        fixed = expression && !variable ? Pattern.compile(inner(text)) : null;
        glob = expression || variable ? null : new Glob(text);
        if (variable) {
          // Compiled for each question; what is wrong with it should be known at once.
          String sample = Pattern.compile("\\$\\{[^}]*\\}").matcher(text).replaceAll("x");
          var _ = expression ? Pattern.compile(inner(sample)) : new Glob(sample);
        }
      } catch (PatternSyntaxException | IllegalArgumentException e) {
        throw new IllegalArgumentException(path + ": " + e.getMessage());
      }
    }

    static @Nullable Member of(@Nullable String text, String path) {
      return text == null ? null : new Member(text, path);
    }

    boolean matches(String value, Map<String, String> variables) {
      if (fixed != null) {
        return fixed.matcher(value).find();
      }
      if (glob != null) {
        return glob.matches(value);
      }
      String filled = text;
      for (Map.Entry<String, String> entry : variables.entrySet()) {
        filled = filled.replace(entry.getKey(), quote(entry.getValue()));
      }
      if (filled.contains("${")) {
        // A variable without a value matches nothing, rather than itself.
        return false;
      }
      return expression
          ? Pattern.compile(inner(filled)).matcher(value).find()
          : new Glob(filled).matches(value);
    }

    private static String inner(String text) {
      return text.substring(1, text.length() - 1);
    }

    /** As Go's regexp.QuoteMeta; a glob reads the same escapes. */
    private static String quote(String value) {
      StringBuilder quoted = new StringBuilder();
      for (char c : value.toCharArray()) {
        if ("\\.+*?()|[]{}^$".indexOf(c) >= 0) {
          quoted.append('\\');
        }
        quoted.append(c);
      }
      return quoted.toString();
    }
  }

  /** An address, or those that share its first bits. */
  private record Network(byte[] address, int bits) {
    static Network parse(String text, String path) {
      int slash = text.indexOf('/');
      try {
        byte[] address =
            InetAddress.ofLiteral(slash < 0 ? text : text.substring(0, slash)).getAddress();
        int bits = slash < 0 ? address.length * 8 : Integer.parseInt(text.substring(slash + 1));
        if (bits < 0 || bits > address.length * 8) {
          throw new IllegalArgumentException();
        }
        return new Network(address, bits);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(
            path + ": '" + text + "' is no address and no CIDR, as in 10.0.0.0/8");
      }
    }

    boolean contains(InetAddress other) {
      byte[] bytes = other.getAddress();
      if (bytes.length != address.length) {
        return false;
      }
      for (int bit = 0; bit < bits; bit++) {
        int mask = 0x80 >> (bit % 8);
        if ((bytes[bit / 8] & mask) != (address[bit / 8] & mask)) {
          return false;
        }
      }
      return true;
    }
  }
}
