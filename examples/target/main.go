// Target is a small object store: names map to fids in a b-tree, objects are
// striped with parity over component objects on the devices of services. See
// README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// store is the store of this process; nil in role client.
var store *Store

func main() {
	log.SetPrefix("target: ")
	log.SetFlags(0)
	config, err := parseFlags("target", os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		log.Print(err)
		os.Exit(2)
	}
	app, err := start(config)
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	log.Printf("%v: ending", <-signals)
	if err := app.close(); err != nil {
		log.Fatal(err)
	}
}

// App is what runs in this process, whichever its role.
type App struct {
	config  *Config
	gateway *Gateway
	admin   *Admin
	servers []*http.Server
	stop    chan struct{}
}

// start starts what the role asks for, and says on stdout where it listens.
func start(c *Config) (*App, error) {
	app := &App{config: c, stop: make(chan struct{})}
	app.admin = &Admin{config: c, heartbeat: newHeartbeat(), started: time.Now()}
	if c.data != "" && c.role != "client" {
		if err := claimData(c); err != nil {
			return nil, err
		}
	}
	var err error
	switch c.role {
	case "client":
		app.admin.load = startLoad(c.connect, c)
	case "store":
		store = newStore(c)
		store.addLocalServices(c)
		if app.admin.blocks, err = newBlockServer(store, c); err != nil {
			return nil, err
		}
		fmt.Printf("store on %s\n", app.admin.blocks.listener.Addr())
	default:
		if err := app.startObjects(c); err != nil {
			return nil, err
		}
	}
	if store != nil {
		go superviseServices(store.services, app.stop)
	}
	if err := app.startHTTP(c); err != nil {
		return nil, err
	}
	fmt.Println("ready")
	return app, nil
}

// startObjects starts the store of a gateway, or of a process that is all in
// one, with its requests and sessions.
func (app *App) startObjects(c *Config) error {
	store = newStore(c)
	if c.role == "gateway" {
		if err := store.addRemoteServices(c.stores); err != nil {
			return err
		}
	} else {
		store.addLocalServices(c)
	}
	if err := seedStore(store, c.seed, c.objects); err != nil {
		return err
	}
	if _, err := newPersister(store, c); err != nil {
		return err
	}
	store.handler = newHandler(c.workers, c.queueLimit, store.perform)
	sessions, err := listenSessions(c.session, store.handler)
	if err != nil {
		return err
	}
	store.sessions = sessions
	fmt.Printf("sessions on %s\n", sessions.listener.Addr())
	if c.load {
		app.admin.load = startLoad(sessions.listener.Addr().String(), c)
	}
	return nil
}

func (app *App) startHTTP(c *Config) error {
	app.admin.store = store
	app.admin.trouble = &Trouble{store: store, load: app.admin.load}
	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	mux, adminMux, adminAddress := http.NewServeMux(), http.NewServeMux(), listener.Addr()
	if c.admin == "" {
		app.admin.register(mux)
	} else {
		adminListener, err := net.Listen("tcp", c.admin)
		if err != nil {
			return err
		}
		adminAddress = adminListener.Addr()
		app.admin.register(adminMux)
		app.serve(&http.Server{Handler: adminMux}, adminListener)
	}
	if store != nil && store.handler != nil {
		gateway := newGateway(store.handler, listener, mux)
		app.gateway = gateway
		app.servers = append(app.servers, gateway.server)
		go func() {
			if err := gateway.serve(); err != nil {
				log.Print(err)
			}
		}()
	} else {
		app.serve(&http.Server{Handler: mux}, listener)
	}
	fmt.Printf("listening on http://%s\nadmin on http://%s\n", listener.Addr(), adminAddress)
	return nil
}

func (app *App) serve(server *http.Server, listener net.Listener) {
	app.servers = append(app.servers, server)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
		}
	}()
}

// close ends everything in good order: first what brings requests, then what
// serves them, then what writes them out. It doesn't wait for ever for what is
// stuck.
func (app *App) close() error {
	finished := make(chan error, 1)
	go func() { finished <- app.closeAll() }()
	select {
	case err := <-finished:
		return err
	case <-time.After(10 * time.Second):
		return errors.New("something is stuck; not everything was written out")
	}
}

func (app *App) closeAll() error {
	close(app.stop)
	if app.admin.load != nil {
		app.admin.load.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, server := range app.servers {
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}
	if app.admin.blocks != nil {
		return app.admin.blocks.close()
	}
	if store == nil {
		return nil
	}
	store.sessions.close()
	store.handler.stop()
	return store.persister.close()
}
