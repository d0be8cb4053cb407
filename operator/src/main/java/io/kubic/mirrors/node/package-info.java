/**
 * What the container runtimes of a node are told about mirrors. {@link
 * io.kubic.mirrors.node.NodeConfig} comes in, the files of a node and a verdict go out. {@code
 * rules} knows what the runtimes' files mean, {@code render} writes them from the model, {@code
 * apply} puts them on a host so that every file is old or new, {@code agent} does that on a node
 * and proves it. The room knows the API's enums and {@code ops}; neither Kubernetes nor the copy
 * engine nor the registry client.
 */
@NullMarked
package io.kubic.mirrors.node;

import org.jspecify.annotations.NullMarked;
