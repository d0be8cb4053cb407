/**
 * The portable directory that crosses an air gap: export, verify, import, receipt. A selection and
 * the copier of {@code sync} fill it or empty it; what a carrier may have done to it in between is
 * found out here, before a tag moves. The format is described in docs/bundle.md, and is an API.
 * Knows {@code oci}, {@code list} and {@code sync}.
 */
@NullMarked
package io.kubic.mirrors.bundle;

import org.jspecify.annotations.NullMarked;
