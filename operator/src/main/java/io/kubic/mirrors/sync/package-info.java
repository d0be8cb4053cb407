/**
 * Plan, copy, report: what is selected becomes operations pinned by digest, one copier carries them
 * out between any two image stores, and one outcome per image goes out. Knows {@code oci} and
 * {@code list}.
 */
@NullMarked
package io.kubic.mirrors.sync;

import org.jspecify.annotations.NullMarked;
