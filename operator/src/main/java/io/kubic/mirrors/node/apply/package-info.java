/**
 * Puts files on a host so that at any moment every file is an old one or a new one in full, and
 * everything can be taken back. Rendered files come in, an {@link
 * io.kubic.mirrors.node.apply.Outcome} goes out. Only files that we made are ever changed; a
 * journal says which, and each of them says so in its first line. Knows {@code render} and {@code
 * rules}.
 */
@NullMarked
package io.kubic.mirrors.node.apply;

import org.jspecify.annotations.NullMarked;
