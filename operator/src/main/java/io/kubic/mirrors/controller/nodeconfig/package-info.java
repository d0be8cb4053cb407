/** NodeRegistryConfig: one configuration for the nodes, rolled out by a DaemonSet of agents. */
@NullMarked
package io.kubic.mirrors.controller.nodeconfig;

import org.jspecify.annotations.NullMarked;
