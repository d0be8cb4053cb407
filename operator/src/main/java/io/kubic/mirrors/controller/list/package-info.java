/** MirrorList: when a sync runs, the Job that runs it, and what it reported. */
@NullMarked
package io.kubic.mirrors.controller.list;

import org.jspecify.annotations.NullMarked;
