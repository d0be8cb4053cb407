/**
 * The process on a node: reads {@code nodeconfig.json}, finds the runtimes, writes their files,
 * proves that every mirror answers with what lies on the disk, and says so at {@code /readyz} and
 * on standard output. No API server, no credentials; everything it touches is mounted by name
 * ({@link io.kubic.mirrors.node.HostMount}). Knows the other rooms of {@code node}.
 */
@NullMarked
package io.kubic.mirrors.node.agent;

import org.jspecify.annotations.NullMarked;
