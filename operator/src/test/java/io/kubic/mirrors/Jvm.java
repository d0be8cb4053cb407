package io.kubic.mirrors;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A JVM of its own, with the classes of the tests: for what ends, or is to have little memory. */
public final class Jvm {
  private Jvm() {}

  /** The command that runs a class; its arguments are to be added. */
  public static List<String> command(List<String> options, String main) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(options);
    command.addAll(
        List.of(
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            main));
    return command;
  }
}
