/** What the three controllers share: applying objects, conditions, labels, settings. */
@NullMarked
package io.kubic.mirrors.controller.support;

import org.jspecify.annotations.NullMarked;
