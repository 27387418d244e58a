// Command grpc makes calls of a gRPC server of its own when it is told to, and says how they ended: a list of lines.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func main() {
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		did, err := calls()
		if err != nil {
			panic(err)
		}
		json.NewEncoder(os.Stdout).Encode(did)
	}
}

func calls() (did []string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	defer server.Stop()
	state := health.NewServer()
	state.SetServingStatus("store", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, state)
	go server.Serve(l)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client := grpc_health_v1.NewHealthClient(conn)
	say := func(method string, err error, sides ...string) {
		for _, side := range sides {
			did = append(did, fmt.Sprint(side, " ", method, " ", status.Code(err), " ", status.Convert(err).Message()))
		}
	}
	for _, service := range []string{"store", "nothing"} {
		_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		say(grpc_health_v1.Health_Check_FullMethodName, err, "server", "client")
	}
	say("/no.Such/Method", conn.Invoke(ctx, "/no.Such/Method", &grpc_health_v1.HealthCheckRequest{},
		&grpc_health_v1.HealthCheckResponse{}), "server", "client")
	stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: "store"})
	if err != nil {
		return nil, err
	}
	if _, err := stream.Recv(); err != nil {
		return nil, err
	}
	cancel()
	// What the health service of grpc-go says of a stream that was given up.
	say(grpc_health_v1.Health_Watch_FullMethodName, status.Error(codes.Canceled, "Stream has ended."), "server")
	return did, nil
}
