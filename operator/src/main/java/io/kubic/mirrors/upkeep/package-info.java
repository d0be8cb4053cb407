/**
 * What keeps a registry's storage in order. In come files and a registry's API; out go deletions of
 * manifests that nothing needs, a run of distribution's own sweep while writes are frozen, and a
 * report. What is needed is decided by a pure function; distribution's {@code --delete-untagged} is
 * never used, because it loses live content (distribution#3178, and sparse indexes). It may know
 * {@code oci}; it runs without a cluster.
 */
@NullMarked
package io.kubic.mirrors.upkeep;

import org.jspecify.annotations.NullMarked;
