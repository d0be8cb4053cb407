/**
 * Tests on real parts: API server, nodes, registry, copy tools. What they need is built by
 * e2e/tools and started by e2e/cluster; a part that is missing skips the test, or fails it with
 * {@code -Dmirror.noSkip=true}.
 */
package io.kubic.mirrors.e2e;
