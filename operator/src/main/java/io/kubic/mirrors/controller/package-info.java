/**
 * The three controllers. Custom resources and observed objects come in; owned objects, status and
 * Events go out. The Java Operator SDK lives here only. A controller resolves references into a
 * model once, asks pure builders for the desired objects, applies what differs, and computes status
 * from what it observed. It may know every room; nobody but the command line knows it.
 */
@NullMarked
package io.kubic.mirrors.controller;

import org.jspecify.annotations.NullMarked;
