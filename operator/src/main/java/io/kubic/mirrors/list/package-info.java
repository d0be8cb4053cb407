/**
 * Which images a MirrorList means. The spec and a {@link io.kubic.mirrors.list.Catalog} per source
 * come in; a {@link io.kubic.mirrors.list.Selection} goes out: sorted images, what each source
 * offered, and everything that could not be seen or understood. Pure: nothing here opens a
 * connection, reads a clock or remembers a run. The definition of versions, builds and floating
 * tags that {@link io.kubic.mirrors.list.VersionTag} implements is written down for users in
 * docs/selection.md.
 *
 * <p>May know: {@code api} and {@code oci}.
 */
@NullMarked
package io.kubic.mirrors.list;

import org.jspecify.annotations.NullMarked;
