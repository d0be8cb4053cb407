package io.kubic.mirrors.node.render;

/**
 * What a runtime cannot be told. It is left out of its files, never written as something wider.
 *
 * @param source the source or blocked registry it is about
 * @param forbidden whether it was to keep the runtime from contacting somebody: then the node is
 *     not as its configuration demands; otherwise a mirror is merely not used
 * @param message one line with the remedy
 */
public record Note(String source, boolean forbidden, String message) {}
