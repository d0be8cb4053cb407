package io.kubic.mirrors.gateway;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One rule with the semantics of docker_auth's {@code acl}: a member that is null matches
 * everything; the others are globs (where {@code *} and {@code ?} do not match a slash) or, between
 * slashes, RE2 expressions that are searched for; {@code ${account}}, {@code ${type}}, {@code
 * ${name}}, {@code ${service}} and capture groups such as {@code ${account:1}} stand for what is
 * asked.
 *
 * @param account the empty string is the anonymous account and nobody else
 * @param ip address or CIDR of the client
 * @param actions what is granted; {@code *} grants all that is asked for, none refuses
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record AclRule(
    @Nullable String account,
    @Nullable String type,
    @Nullable String name,
    @Nullable String service,
    @Nullable String ip,
    List<String> actions) {
  public AclRule {
    actions = actions == null ? List.of() : List.copyOf(actions);
  }
}
