/**
 * The client for remote registries (OCI distribution specification 1.1): endpoints, authentication,
 * limits, retries. A {@link io.kubic.mirrors.oci.registry.Connection} says how a registry is
 * reached and trusted; a {@link io.kubic.mirrors.oci.registry.RegistryClient} gives values of
 * {@code oci} or a typed failure. OkHttp lives here only. Credentials reach the registry's own
 * origin and permitted token realms, nothing else.
 */
@NullMarked
package io.kubic.mirrors.oci.registry;

import org.jspecify.annotations.NullMarked;
