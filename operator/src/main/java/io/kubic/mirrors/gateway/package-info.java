/**
 * What stands in front of a registry: TLS, tokens, users and rules, one scope per request, a
 * reverse proxy, and the write freeze. In come files ({@link
 * io.kubic.mirrors.gateway.GatewayConfig} and the directories it names, read again while running)
 * and HTTPS requests; out go requests to the registry on loopback, tokens, audit lines and metrics.
 * It talks to no API server and holds no state that a restart would lose. Jetty lives here. It may
 * know {@code oci}, the reading half of {@code pki}, and {@code ops}.
 */
@NullMarked
package io.kubic.mirrors.gateway;

import org.jspecify.annotations.NullMarked;
