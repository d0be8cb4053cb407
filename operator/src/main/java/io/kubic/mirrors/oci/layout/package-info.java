/**
 * Images in directories: the OCI image layout, and the layout of {@code skopeo sync --dest dir}.
 * Directories come in from anybody; what goes out has been hashed, and comes from regular files
 * that no link leads to. Knows {@code oci} only.
 */
@NullMarked
package io.kubic.mirrors.oci.layout;

import org.jspecify.annotations.NullMarked;
