/**
 * The API of the Mirror Operator: the three kinds {@code MirrorRegistry}, {@code MirrorList} and
 * {@code NodeRegistryConfig} of group {@code mirrors.kubic.io}, version {@code v1alpha1}, as
 * records.
 *
 * <p>What comes in is YAML or JSON, from the API server or from a file ({@link
 * io.kubic.mirrors.api.v1alpha1.ResourceFile}); what goes out is a value whose optional parts are
 * filled with the documented defaults, so that the same file means the same with and without a
 * cluster. This room knows Jackson and the fabric8 annotations, and nobody else. The
 * CustomResourceDefinitions are generated from these classes.
 *
 * <p>Not {@code @NullMarked} as a whole: constructors of these records take null for "not given"
 * and fill in the default, so that an accessor without {@code @Nullable} never returns null.
 */
package io.kubic.mirrors.api.v1alpha1;
