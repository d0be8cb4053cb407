/**
 * Certificates and their succession as pure functions over certificates and a clock. In come keys,
 * certificates, the policy and what was observed; out go new certificates and the one next {@link
 * io.kubic.mirrors.pki.RotationStep}. Nothing is stored here and nothing is sent: a caller writes
 * Secrets and asks again. Bouncy Castle lives here. It may know {@code oci} at most.
 */
@NullMarked
package io.kubic.mirrors.pki;

import org.jspecify.annotations.NullMarked;
