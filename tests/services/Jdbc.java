import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;

/**
 * What the JDBC driver of Flight SQL sees of a server. The one argument is JSON: a URL for each of
 * the parts of this program, or a list of them. The answer is JSON: what each part found, or the
 * text of its SQLException.
 */
public class Jdbc {
  interface Part {
    Object run(Connection connection) throws SQLException;
  }

  @SuppressWarnings("unchecked")
  public static void main(String[] args) throws Exception {
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    ObjectMapper json = new ObjectMapper();
    Map<String, Object> wanted = json.readValue(args[0], LinkedHashMap.class);
    Map<String, Object> found = new LinkedHashMap<>();
    for (Map.Entry<String, Object> part : wanted.entrySet()) {
      Object urls = part.getValue();
      if (urls instanceof String) {
        found.put(part.getKey(), run((String) urls, named(part.getKey())));
        continue;
      }
      List<Object> each = new ArrayList<>();
      for (Object url : (List<Object>) urls) each.add(run((String) url, named(part.getKey())));
      found.put(part.getKey(), each);
    }
    System.out.write(json.writeValueAsBytes(found));
    System.out.flush();
    System.exit(0); // the driver's threads would linger
  }

  static Part named(String name) {
    switch (name) {
      case "statement":
        return Jdbc::statement;
      case "prepared":
        return Jdbc::prepared;
      case "metadata":
        return Jdbc::metadata;
      case "types":
        return Jdbc::types;
      case "rows":
        return connection -> rows(connection, "SELECT * FROM landed ORDER BY ALL");
      default: // whether it connects, and as whom
        return connection -> rows(connection, "SELECT current_database(), 42");
    }
  }

  static Object run(String url, Part part) {
    Connection connection = null;
    try {
      connection = DriverManager.getConnection(url);
      return part.run(connection);
    } catch (SQLException | RuntimeException error) {
      error.printStackTrace();
      return error(error);
    } finally {
      close(connection);
    }
  }

  /** With a catalog the driver closes its session twice, and says that the second time failed. */
  static void close(Connection connection) {
    try {
      if (connection != null) connection.close();
    } catch (SQLException error) {
      System.err.println("close: " + error.getMessage());
    }
  }

  static Map<String, Object> error(Exception error) {
    Throwable deepest = error;
    while (deepest.getCause() != null) deepest = deepest.getCause();
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("error", error.getMessage() + " | " + deepest.getMessage());
    return told;
  }

  static Object plain(Object value) throws SQLException {
    if (value instanceof Array) {
      List<Object> items = new ArrayList<>();
      for (Object item : (Object[]) ((Array) value).getArray()) items.add(plain(item));
      return items;
    }
    if (value instanceof byte[]) return new String((byte[]) value, StandardCharsets.ISO_8859_1);
    if (value == null || value instanceof Boolean || value instanceof Integer) return value;
    if (value instanceof Long || value instanceof Short || value instanceof Byte) return value;
    if (value instanceof Double || value instanceof Float) return value;
    return value.toString();
  }

  static List<List<Object>> rows(ResultSet result) throws SQLException {
    List<List<Object>> rows = new ArrayList<>();
    int columns = result.getMetaData().getColumnCount();
    while (result.next()) {
      List<Object> row = new ArrayList<>();
      for (int i = 1; i <= columns; i++) row.add(plain(result.getObject(i)));
      rows.add(row);
    }
    return rows;
  }

  static List<List<Object>> rows(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet result = statement.executeQuery(sql)) {
      return rows(result);
    }
  }

  static Object statement(Connection connection) throws SQLException {
    Map<String, Object> found = new LinkedHashMap<>();
    try (Statement statement = connection.createStatement()) {
      found.put("create", statement.executeUpdate("CREATE TABLE jdbc_s (id BIGINT, word VARCHAR)"));
      found.put(
          "insert",
          statement.executeUpdate("INSERT INTO jdbc_s VALUES (1, 'a'), (2, NULL), (3, 'wörd')"));
      found.put("update", statement.executeUpdate("UPDATE jdbc_s SET word = 'b' WHERE id < 3"));
      found.put("delete", statement.executeUpdate("DELETE FROM jdbc_s WHERE id = 2"));
      found.put("is_query", statement.execute("SELECT * FROM jdbc_s ORDER BY id"));
      try (ResultSet result = statement.getResultSet()) {
        found.put("rows", rows(result));
      }
      found.put("is_update", statement.execute("INSERT INTO jdbc_s VALUES (9, 'x')"));
      found.put("update_count", statement.getUpdateCount());
    }
    found.put("none", rows(connection, "SELECT * FROM jdbc_s WHERE id = 77"));
    found.put("many", rows(connection, "SELECT sum(i)::BIGINT FROM range(1000000) t(i)"));
    try (Statement statement = connection.createStatement();
        ResultSet result = statement.executeQuery("SELECT i FROM range(300000) t(i)")) {
      long sum = 0;
      while (result.next()) sum += result.getLong(1);
      found.put("sum", sum);
    }
    for (String wrong : Arrays.asList("SELEC 1", "SELECT * FROM nowhere", "SELECT 'x'::INTEGER")) {
      try {
        found.put(wrong, rows(connection, wrong));
      } catch (SQLException error) {
        found.put(wrong, error(error));
      }
    }
    found.put("after", rows(connection, "SELECT count(*) FROM jdbc_s"));
    return found;
  }

  static Object prepared(Connection connection) throws SQLException {
    Map<String, Object> found = new LinkedHashMap<>();
    try (Statement statement = connection.createStatement()) {
      statement.executeUpdate(
          "CREATE TABLE jdbc_p (id INTEGER, word VARCHAR, price DECIMAL(9,2), day DATE, moment TIMESTAMP,"
              + " yes BOOLEAN, x DOUBLE, data BLOB, big BIGINT, clock TIME)");
    }
    String insert = "INSERT INTO jdbc_p VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    try (PreparedStatement statement = connection.prepareStatement(insert)) {
      found.put("parameters", statement.getParameterMetaData().getParameterCount());
      statement.setInt(1, 1);
      statement.setString(2, "wörd");
      statement.setBigDecimal(3, new BigDecimal("12.50"));
      statement.setDate(4, Date.valueOf("2024-02-29"));
      statement.setTimestamp(5, Timestamp.valueOf("2024-02-29 12:34:56.123"));
      statement.setBoolean(6, true);
      statement.setDouble(7, 1.5);
      statement.setBytes(8, new byte[] {0, (byte) 0xff});
      statement.setLong(9, Long.MAX_VALUE);
      statement.setTime(10, Time.valueOf("12:34:56"));
      found.put("inserted", statement.executeUpdate());
      statement.setInt(1, 2);
      for (int i = 2; i <= 10; i++) statement.setNull(i, Types.NULL);
      found.put("nulls", statement.executeUpdate());
    }
    found.put("rows", rows(connection, "SELECT * FROM jdbc_p ORDER BY id"));
    String batch = "INSERT INTO jdbc_p (id, word) VALUES (?, ?)";
    try (PreparedStatement statement = connection.prepareStatement(batch)) {
      for (int i = 10; i < 1010; i++) {
        statement.setInt(1, i);
        statement.setString(2, i % 3 == 0 ? null : "word " + i);
        statement.addBatch();
      }
      int[] counts = statement.executeBatch();
      found.put("batch", Arrays.stream(counts).sum());
    }
    String count = "SELECT count(*), count(word) FROM jdbc_p WHERE id BETWEEN ? AND ?";
    try (PreparedStatement statement = connection.prepareStatement(count)) {
      for (int low : new int[] {10, 510}) {
        statement.setInt(1, low);
        statement.setInt(2, 1009);
        try (ResultSet result = statement.executeQuery()) {
          found.put("from " + low, rows(result));
        }
      }
    }
    String read = "SELECT id, word, price FROM jdbc_p WHERE word = ? AND price > ?";
    try (PreparedStatement statement = connection.prepareStatement(read)) {
      List<List<Object>> columns = new ArrayList<>();
      ResultSetMetaData about = statement.getMetaData();
      for (int i = 1; i <= about.getColumnCount(); i++)
        columns.add(Arrays.asList(about.getColumnName(i), about.getColumnType(i)));
      found.put("columns", columns);
      statement.setString(1, "wörd");
      statement.setBigDecimal(2, new BigDecimal("12.49"));
      try (ResultSet result = statement.executeQuery()) {
        found.put("found", rows(result));
      }
    }
    try (PreparedStatement statement = connection.prepareStatement("SELECT nothing FROM nowhere")) {
      found.put("wrong", "was prepared");
    } catch (SQLException error) {
      found.put("wrong", error(error));
    }
    return found;
  }

  static Object metadata(Connection connection) throws SQLException {
    DatabaseMetaData about = connection.getMetaData();
    Map<String, Object> found = new LinkedHashMap<>();
    found.put("product", about.getDatabaseProductName());
    found.put("version", about.getDatabaseProductVersion());
    found.put("driver", about.getDriverName());
    found.put("transactions", about.supportsTransactions());
    found.put("isolation", about.getDefaultTransactionIsolation());
    found.put("quote", about.getIdentifierQuoteString());
    found.put("read_only", about.isReadOnly());
    found.put("keywords", about.getSQLKeywords().length() > 10);
    found.put("numeric", about.getNumericFunctions());
    found.put("strings", about.getStringFunctions());
    found.put("outer", about.supportsFullOuterJoins());
    found.put("group_by", about.supportsGroupBy());
    found.put("schema_term", about.getSchemaTerm());
    found.put("catalog_term", about.getCatalogTerm());
    found.put("nulls_at_end", about.nullsAreSortedAtEnd());
    found.put("entry", about.supportsANSI92EntryLevelSQL());
    found.put("union", about.supportsUnionAll());
    found.put("statement_length", about.getMaxStatementLength());
    found.put("batch", about.supportsBatchUpdates());
    try (ResultSet result = about.getCatalogs()) {
      found.put("catalogs", rows(result));
    }
    try (ResultSet result = about.getSchemas()) {
      found.put("schemas", rows(result));
    }
    try (ResultSet result = about.getTableTypes()) {
      found.put("table_types", rows(result));
    }
    try (ResultSet result = about.getTables(null, null, "jdbc_m%", null)) {
      found.put("tables", named(result, "TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE"));
    }
    try (ResultSet result = about.getTables(null, null, "jdbc_m%", new String[] {"VIEW"})) {
      found.put("views", named(result, "TABLE_NAME"));
    }
    try (ResultSet result = about.getColumns(null, null, "jdbc_m", "%")) {
      found.put(
          "columns",
          named(
              result,
              "COLUMN_NAME",
              "DATA_TYPE",
              "TYPE_NAME",
              "COLUMN_SIZE",
              "DECIMAL_DIGITS",
              "NULLABLE",
              "ORDINAL_POSITION"));
    }
    try (ResultSet result = about.getPrimaryKeys(null, null, "jdbc_m")) {
      found.put("primary", named(result, "TABLE_NAME", "COLUMN_NAME", "KEY_SEQ"));
    }
    try (ResultSet result = about.getImportedKeys(null, null, "jdbc_f")) {
      found.put(
          "imported", named(result, "PKTABLE_NAME", "PKCOLUMN_NAME", "FKTABLE_NAME", "FKCOLUMN_NAME"));
    }
    try (ResultSet result = about.getExportedKeys(null, null, "jdbc_m")) {
      found.put("exported", named(result, "FKTABLE_NAME", "DELETE_RULE"));
    }
    try (ResultSet result = about.getCrossReference(null, null, "jdbc_m", null, null, "jdbc_f")) {
      found.put("cross", named(result, "PKTABLE_NAME", "FKTABLE_NAME"));
    }
    return found;
  }

  static List<List<Object>> named(ResultSet result, String... columns) throws SQLException {
    List<List<Object>> rows = new ArrayList<>();
    while (result.next()) {
      List<Object> row = new ArrayList<>();
      for (String column : columns) row.add(plain(result.getObject(column)));
      rows.add(row);
    }
    return rows;
  }

  /** Each column of `typed`: its JDBC type, precision and scale, and the values of its two rows. */
  static Object types(Connection connection) throws SQLException {
    Map<String, Object> found = new LinkedHashMap<>();
    try (Statement statement = connection.createStatement();
        ResultSet result = statement.executeQuery("SELECT * FROM typed ORDER BY nr")) {
      ResultSetMetaData about = result.getMetaData();
      List<List<Object>> values = new ArrayList<>();
      while (result.next()) {
        for (int i = 1; i <= about.getColumnCount(); i++) {
          if (values.size() < i) values.add(new ArrayList<>());
          Object value;
          try {
            value = plain(result.getObject(i));
          } catch (RuntimeException error) { // the driver has no objects of this type
            value = plain(result.getString(i));
          }
          values.get(i - 1).add(value);
          if ((value == null) != result.wasNull())
            throw new SQLException("wasNull of column " + about.getColumnName(i));
        }
      }
      for (int i = 1; i <= about.getColumnCount(); i++) {
        Map<String, Object> column = new LinkedHashMap<>();
        column.put("type", about.getColumnType(i));
        column.put("precision", about.getPrecision(i));
        column.put("scale", about.getScale(i));
        column.put("values", values.get(i - 1));
        found.put(about.getColumnName(i), column);
      }
    }
    return found;
  }
}
