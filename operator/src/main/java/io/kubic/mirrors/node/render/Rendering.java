package io.kubic.mirrors.node.render;

import java.util.List;
import java.util.stream.Stream;

/**
 * The files of one runtime.
 *
 * @param files sorted, every path once
 */
public record Rendering(List<NodeFile> files, List<Note> notes) {
  public Rendering {
    files = files.stream().sorted().toList();
    notes = List.copyOf(notes);
  }

  /** Both; a file that both have, such as the CA of a mirror, is the same in both. */
  public Rendering and(Rendering other) {
    return new Rendering(
        Stream.concat(files.stream(), other.files.stream()).distinct().toList(),
        Stream.concat(notes.stream(), other.notes.stream()).distinct().toList());
  }
}
