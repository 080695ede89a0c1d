import java.net.ServerSocket;
import org.apache.arrow.flight.FlightServer;
import org.apache.arrow.flight.Location;
import org.apache.arrow.flight.sql.example.FlightSqlExample;
import org.apache.arrow.memory.RootAllocator;

/** Arrow's example server over Apache Derby, on a free port, which its own main cannot do. */
public class DerbyServer {
  public static void main(String[] args) throws Exception {
    int port;
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
    // Endpoints name the location that it is told.
    Location location = Location.forGrpcInsecure("127.0.0.1", port);
    try (RootAllocator memory = new RootAllocator();
        FlightSqlExample example = new FlightSqlExample(location, "derbyDB");
        FlightServer server = FlightServer.builder(memory, location, example).build()) {
      server.start();
      System.out.println("listening on " + server.getPort());
      server.awaitTermination();
    }
  }
}
