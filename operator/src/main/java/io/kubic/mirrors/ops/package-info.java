/**
 * What every role needs to be run by others: logging now; health and metrics where they are used.
 */
@NullMarked
package io.kubic.mirrors.ops;

import org.jspecify.annotations.NullMarked;
