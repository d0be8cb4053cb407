package io.kubic.mirrors.controller.registry;

import java.util.Arrays;
import java.util.Optional;

/** What is done to a registry's storage by a Job of its own, and never beside a sync. */
enum UpkeepTask {
  GC("gc", "garbage collection", "GarbageCollection"),
  SCRUB("scrub", "scrub", "Scrub");

  private final String command;
  private final String title;
  private final String reason;

  UpkeepTask(String command, String title, String reason) {
    this.command = command;
    this.title = title;
    this.reason = reason;
  }

  /** The sub-command that does it; part of the Job's name. */
  String command() {
    return command;
  }

  /** For a person. */
  String title() {
    return title;
  }

  /** As a condition names it. */
  String reason() {
    return reason;
  }

  static Optional<UpkeepTask> of(String command) {
    return Arrays.stream(values()).filter(task -> task.command.equals(command)).findFirst();
  }
}
