import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.*;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;
import java.util.regex.Pattern;

/*
 * What JDBC does: java -cp postgresql.jar Drivers.java PORT EMULATOR
 *
 * A line of JSON for each step: its name, what it gave as text, and the targets
 * of the requests that it made.
 */
public class Drivers
{
	private static final HttpClient http = HttpClient.newHttpClient();
	private static final Pattern target = Pattern.compile("\"target\": ?\"([^\"]*)\"");
	private static URI requests;

	private static void step(String name, Object answer) throws Exception
	{
		var found = new ArrayList<String>();
		var matcher = target.matcher(http.send(HttpRequest.newBuilder(requests).build(), BodyHandlers.ofString()).body());

		while (matcher.find())
			found.add('"' + matcher.group(1) + '"');
		http.send(HttpRequest.newBuilder(requests).DELETE().build(), BodyHandlers.ofString());
		System.out.println("{\"driver\": \"jdbc\", \"step\": \"" + name + "\", \"answer\": \"" + answer + "\", \"requests\": " + found + "}");
	}

	private static int rows(ResultSet result, int most) throws SQLException
	{
		int number = 0;

		while (number < most && result.next())
			number++;
		return number;
	}

	private static String first(ResultSet result) throws SQLException
	{
		return result.next() ? result.getString(1) : "none";
	}

	/* Execute a prepared statement often, so that the driver names it, and the server makes a generic plan. */
	private static void prepared(Connection connection, String name, String sql, Object... values) throws Exception
	{
		try (var statement = connection.prepareStatement(sql))
		{
			var answers = new TreeSet<String>();

			for (int run = 0; run < 12; run++)
			{
				for (int i = 0; i < values.length; i++)
					statement.setObject(i + 1, values[i]);
				answers.add(first(statement.executeQuery()));
			}
			step(name, answers);
		}
	}

	private static void metadata(Connection connection) throws Exception
	{
		var data = connection.getMetaData();

		for (String schema : List.of("live", "seen", "kept"))
			step("tables and views in " + schema, rows(data.getTables(null, schema, "%", new String[] {"TABLE", "PARTITIONED TABLE", "VIEW"}), 99));
		var result = data.getTables(null, "live", "alerts", null);
		result.next();
		step("the type of a foreign table", result.getString("TABLE_TYPE"));
		step("columns", rows(data.getColumns(null, "live", "alerts", "%"), 99));
		result = data.getColumns(null, "live", "alerts", "created_date_time");
		result.next();
		step("the type of a time", result.getString("TYPE_NAME"));
		step("key of a copy", rows(data.getPrimaryKeys(null, "kept", "device_evidence"), 99));
	}

	private static void portions(Connection connection) throws Exception
	{
		try (var statement = connection.createStatement())
		{
			statement.setMaxRows(200);
			step("maxRows", rows(statement.executeQuery("SELECT x.* FROM alerts x"), 9999));
		}
		connection.setAutoCommit(false);
		try (var statement = connection.createStatement())
		{
			statement.setFetchSize(100);
			var result = statement.executeQuery("SELECT id, title FROM alerts");
			step("fetchSize", rows(result, 300));
			step("fetchSize, the rest", rows(result, 9999));
		}
		try (var statement = connection.createStatement())
		{
			statement.setFetchSize(100);
			rows(statement.executeQuery("SELECT id, title FROM alerts"), 5);
		}
		connection.commit();
		step("fetchSize, half", 0);
		connection.setAutoCommit(true);
		try (var statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY))
		{
			var result = statement.executeQuery("SELECT id FROM alerts WHERE severity = 'high'");
			result.last();
			step("scroll", result.getRow());
		}
	}

	public static void main(String[] arguments) throws Exception
	{
		var properties = new Properties();

		requests = URI.create(arguments[1] + "/_emulator/requests");
		properties.put("user", "postgres");
		properties.put("currentSchema", "live");
		try (var connection = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + arguments[0] + "/postgres", properties))
		{
			metadata(connection);
			portions(connection);
			prepared(connection, "values", "SELECT count(*) FROM alerts WHERE severity = ? AND created_date_time >= ?",
				"high", Timestamp.from(Instant.parse("2026-07-30T12:00:00Z")));
			prepared(connection, "id", "SELECT title FROM alerts WHERE id = ?", "a0007");
			prepared(connection, "ids", "SELECT count(*) FROM alerts WHERE id = ANY (?)",
				connection.createArrayOf("text", new String[] {"a0007", "a0008"}));
			prepared(connection, "members", "SELECT count(*) FROM alerts WHERE severity IN (?, ?) AND status = ?", "high", "low", "new");
			prepared(connection, "latest", "SELECT min(id) FROM (SELECT id FROM alerts ORDER BY created_date_time DESC LIMIT ?) AS a", 10);
			prepared(connection, "a time with an offset", "SELECT count(*) FROM alerts WHERE created_date_time >= ?",
				OffsetDateTime.parse("2026-07-30T14:00:00+02:00"));
			try (var statement = connection.createStatement())
			{
				statement.executeQuery("SELECT 1 / 0 FROM alerts WHERE id = 'a0007'").next();
			}
			catch (SQLException error)
			{
				step("error", error.getSQLState());
			}
		}
	}
}
