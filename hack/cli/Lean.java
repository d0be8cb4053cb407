import java.io.IOException;
import java.io.OutputStream;
import java.lang.classfile.Annotation;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassFile.ClassHierarchyResolverOption;
import java.lang.classfile.ClassFile.ConstantPoolSharingOption;
import java.lang.classfile.ClassFile.StackMapsOption;
import java.lang.classfile.ClassFileVersion;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.attribute.RecordAttribute;
import java.lang.classfile.attribute.RecordComponentInfo;
import java.lang.classfile.attribute.RuntimeVisibleAnnotationsAttribute;
import java.lang.classfile.attribute.RuntimeVisibleParameterAnnotationsAttribute;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;

/**
 * Makes jars quicker to start with; what their classes do stays the same.
 *
 * <p>Class files of Java 5 (picocli's) get a newer version, with stack maps: a JVM keeps none of
 * the old ones in its archive, and verifies them anew at each start. Annotations that only the
 * generator of the CRDs reads are left out: the JDK makes a class for each type of annotation on
 * what Jackson looks at.
 *
 * <pre>java Lean.java JAR...</pre>
 */
class Lean {
  static final List<String> OF_THE_GENERATOR =
      List.of(
          "Lio/fabric8/generator/annotation/",
          "Lio/fabric8/crd/generator/annotation/",
          "Lcom/fasterxml/jackson/annotation/JsonPropertyDescription;");

  static List<Annotation> kept(List<Annotation> all) {
    return all.stream()
        .filter(one -> OF_THE_GENERATOR.stream().noneMatch(one.className().stringValue()::startsWith))
        .toList();
  }

  static Optional<RuntimeVisibleAnnotationsAttribute> kept(RuntimeVisibleAnnotationsAttribute all) {
    List<Annotation> kept = kept(all.annotations());
    return kept.isEmpty() ? Optional.empty() : Optional.of(RuntimeVisibleAnnotationsAttribute.of(kept));
  }

  static RecordComponentInfo kept(RecordComponentInfo component) {
    return RecordComponentInfo.of(
        component.name(),
        component.descriptor(),
        component.attributes().stream()
            .flatMap(one -> one instanceof RuntimeVisibleAnnotationsAttribute all ? kept(all).stream() : Optional.of(one).stream())
            .toList());
  }

  static final ClassTransform ANNOTATIONS =
      ClassTransform.transformingFields(
              (field, element) -> {
                switch (element) {
                  case RuntimeVisibleAnnotationsAttribute all -> kept(all).ifPresent(field::with);
                  default -> field.with(element);
                }
              })
          .andThen(
              ClassTransform.transformingMethods(
                  (method, element) -> {
                    switch (element) {
                      case RuntimeVisibleAnnotationsAttribute all -> kept(all).ifPresent(method::with);
                      case RuntimeVisibleParameterAnnotationsAttribute all ->
                          method.with(
                              RuntimeVisibleParameterAnnotationsAttribute.of(
                                  all.parameterAnnotations().stream().map(Lean::kept).toList()));
                      default -> method.with(element);
                    }
                  }))
          .andThen(
              (type, element) -> {
                switch (element) {
                  case RuntimeVisibleAnnotationsAttribute all -> kept(all).ifPresent(type::with);
                  case RecordAttribute all ->
                      type.with(RecordAttribute.of(all.components().stream().map(Lean::kept).toList()));
                  default -> type.with(element);
                }
              });

  static final ClassTransform VERSION =
      ClassTransform.transformingMethodBodies(CodeTransform.ACCEPT_ALL)
          .andThen(
              (type, element) -> {
                switch (element) {
                  case ClassFileVersion _ -> type.withVersion(ClassFile.latestMajorVersion(), 0);
                  default -> type.with(element);
                }
              });

  static void lean(Path jar) throws IOException {
    Path made = Files.createTempFile(jar.toAbsolutePath().getParent(), "lean", null);
    try (URLClassLoader types = new URLClassLoader(new URL[] {jar.toUri().toURL()});
        JarFile old = new JarFile(jar.toFile());
        OutputStream file = Files.newOutputStream(made);
        JarOutputStream out = new JarOutputStream(file)) {
      ClassHierarchyResolver hierarchy =
          ClassHierarchyResolver.ofResourceParsing(types).orElse(ClassHierarchyResolver.defaultResolver());
      ClassFile rewriting =
          ClassFile.of(
              StackMapsOption.GENERATE_STACK_MAPS,
              ConstantPoolSharingOption.NEW_POOL,
              ClassHierarchyResolverOption.of(hierarchy));
      for (JarEntry entry : Collections.list(old.entries())) {
        byte[] content = old.getInputStream(entry).readAllBytes();
        if (entry.getName().endsWith(".class")) {
          int version = ClassFile.of().parse(content).majorVersion();
          if (version < ClassFile.JAVA_6_VERSION) {
            content = rewriting.transformClass(rewriting.parse(content), VERSION);
          }
          content = ClassFile.of().transformClass(ClassFile.of().parse(content), ANNOTATIONS);
        }
        JarEntry copy = new JarEntry(entry.getName());
        copy.setTime(entry.getTime());
        out.putNextEntry(copy);
        out.write(content);
      }
    }
    Files.move(made, jar, StandardCopyOption.REPLACE_EXISTING);
  }

  public static void main(String[] jars) throws IOException {
    for (String jar : jars) {
      lean(Path.of(jar));
    }
  }
}
