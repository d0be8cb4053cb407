/**
 * Writes the model as each runtime reads it: {@link io.kubic.mirrors.node.NodeConfig} comes in,
 * files with their paths on the host go out, with a note for everything a runtime cannot express.
 * Pure: the operator's preview, {@code kubectl mirror render} and the agent call the same code.
 */
@NullMarked
package io.kubic.mirrors.node.render;

import org.jspecify.annotations.NullMarked;
