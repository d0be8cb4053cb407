/**
 * The entry point of every role: operator, gateway, agent, sync Job and the command line are
 * sub-commands of one {@link io.kubic.mirrors.Main}. Nothing else lives here.
 */
@NullMarked
package io.kubic.mirrors;

import org.jspecify.annotations.NullMarked;
