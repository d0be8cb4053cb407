/**
 * MirrorRegistry: a registry pod behind the auth gateway, its certificates, credentials and
 * storage.
 */
@NullMarked
package io.kubic.mirrors.controller.registry;

import org.jspecify.annotations.NullMarked;
