/**
 * The values of the OCI world, which cannot be invalid: references, digests, platforms,
 * descriptors, manifests, and the closed list of reasons for which work on them fails. Text and
 * bytes from outside come in; values or a {@link io.kubic.mirrors.oci.RegistryException} go out.
 * The room knows no other room; {@code registry} reaches remote registries, {@code layout} reads
 * and writes directories.
 */
@NullMarked
package io.kubic.mirrors.oci;

import org.jspecify.annotations.NullMarked;
