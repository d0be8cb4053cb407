/**
 * What the files of the runtimes mean: text comes in; a configuration, or the reason why a runtime
 * would not load it, goes out. Whom a runtime would ask for an image, in which order, is computed
 * here as the runtimes do. Pure. Where the readers differ between versions the strictest counts:
 * what is accepted here every version accepts.
 */
@NullMarked
package io.kubic.mirrors.node.rules;

import org.jspecify.annotations.NullMarked;
