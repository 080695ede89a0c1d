//go:build tools

// Programs that the tests run: other people's clients and servers of gRPC and Flight SQL.
package peers

import (
	_ "github.com/apache/arrow-go/v18/arrow/flight/flightsql/example/cmd/sqlite_flightsql_server"
	_ "github.com/bojand/ghz/cmd/ghz"
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
)
