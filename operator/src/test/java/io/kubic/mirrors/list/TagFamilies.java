package io.kubic.mirrors.list;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The table of real-world tag families in docs/selection.md: what users read is what is tested. */
record TagFamilies(String name, List<String> stays, List<String> dropped) {

  static List<TagFamilies> read() {
    Path file = Path.of("..", "docs", "selection.md");
    List<TagFamilies> families = new ArrayList<>();
    try {
      boolean inTable = false;
      for (String line : Files.readAllLines(file)) {
        if (line.equals("<!-- latest-build-families -->")) {
          inTable = true;
        } else if (inTable && line.isBlank()) {
          break;
        } else if (inTable && !line.startsWith("| family") && !line.startsWith("|---")) {
          String[] cells = line.split("\\|", -1);
          families.add(new TagFamilies(cells[1].strip(), tags(cells[2]), tags(cells[3])));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return families;
  }

  List<String> all() {
    List<String> all = new ArrayList<>(stays);
    all.addAll(dropped);
    return all;
  }

  private static List<String> tags(String cell) {
    return cell.isBlank() ? List.of() : List.of(cell.strip().replace("`", "").split("\\s+"));
  }

  @Override
  public String toString() {
    return name;
  }
}
