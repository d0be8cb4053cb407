/**
 * The commands: what a person types as {@code kubectl mirror ...} and what pods are started with.
 * Arguments and files come in; tables, JSON and an exit code of {@link
 * io.kubic.mirrors.cli.ExitCode} go out. A command parses, calls one room and prints; decisions are
 * made in the rooms. Errors are one line that names the object and the remedy.
 */
@NullMarked
package io.kubic.mirrors.cli;

import org.jspecify.annotations.NullMarked;
