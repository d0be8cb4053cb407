/**
 * A bucket of a service that speaks S3, as a place for a bundle. The S3 client library lives here
 * only, and its classes are loaded only when a bucket is named.
 */
@NullMarked
package io.kubic.mirrors.bundle.s3;

import org.jspecify.annotations.NullMarked;
