pragma application_id=1866548310;
pragma user_version=5;
BEGIN TRANSACTION;
CREATE TABLE baseline (
        event_id text not null, circuit_id text not null, kw text not null, primary key (event_id, circuit_id)
    ) strict, without rowid;
INSERT INTO "baseline" VALUES('e1','ev','7.25');
INSERT INTO "baseline" VALUES('e1','fridge','0.2');
INSERT INTO "baseline" VALUES('e1','heater','2.000');
CREATE TABLE decision (
        event_id text primary key, modified integer not null, opted_in integer not null, reason text,
        decided_at integer not null
    , basis text not null default '') strict, without rowid;
INSERT INTO "decision" VALUES('e1',1767265200000000,1,NULL,1767265200000000,'');
INSERT INTO "decision" VALUES('e2',1767265200000000,0,'ruhige Zeit 22:00–06:00 („Größe“)',1767268800000000,'');
CREATE TABLE event (
        id text primary key, body blob not null, anchor integer not null, first_received integer not null
    ) strict, without rowid;
INSERT INTO "event" VALUES('e1',X'7B2270726F6772616D4944223A227031222C226576656E744E616D65223A226531222C227061796C6F616444657363726970746F7273223A5B7B226F626A65637454797065223A224556454E545F5041594C4F41445F44455343524950544F52222C227061796C6F616454797065223A2244495350415443485F534554504F494E545F52454C4154495645222C22756E697473223A224B57227D5D2C22696E74657276616C506572696F64223A7B227374617274223A22323032362D30312D30315431323A30303A30302E3030305A222C226475726174696F6E223A2250543148227D2C22696E74657276616C73223A5B7B226964223A302C227061796C6F616473223A5B7B2274797065223A2244495350415443485F534554504F494E545F52454C4154495645222C2276616C756573223A5B2D325D7D5D7D2C7B226964223A312C227061796C6F616473223A5B7B2274797065223A2244495350415443485F534554504F494E545F52454C4154495645222C2276616C756573223A5B2D315D7D5D7D5D2C226964223A226531222C22637265617465644461746554696D65223A22323032362D30312D30315431313A30303A30305A222C226D6F64696669636174696F6E4461746554696D65223A22323032362D30312D30315431313A30303A30305A222C226F626A65637454797065223A224556454E54227D',1767267000000000,1767265200000000);
INSERT INTO "event" VALUES('e2',X'7B2270726F6772616D4944223A227031222C226576656E744E616D65223A226532222C22696E74657276616C506572696F64223A7B227374617274223A22303030312D30312D30315430303A30303A30305A222C226475726174696F6E223A2250543148227D2C22696E74657276616C73223A5B7B226964223A302C227061796C6F616473223A5B7B2274797065223A2253494D504C45222C2276616C756573223A5B325D7D5D7D5D2C226964223A226532222C22637265617465644461746554696D65223A22323032362D30312D30315431313A30303A30305A222C226D6F64696669636174696F6E4461746554696D65223A22323032362D30312D30315431313A30303A30305A222C226F626A65637454797065223A224556454E54227D',1767268800000000,1767268800000000);
CREATE TABLE meta (key text primary key, value text not null) strict, without rowid;
INSERT INTO "meta" VALUES('created_at','1767265200000000');
CREATE TABLE opt (
        scope text primary key, opted_in integer not null, reason text, until integer, made_at integer not null
    ) strict, without rowid;
INSERT INTO "opt" VALUES('all',0,'Urlaub – „Größe“',NULL,1767268800000000);
INSERT INTO "opt" VALUES('event:e1',1,NULL,1767272400000000,1767268800000000);
CREATE TABLE outgoing (
        name text primary key, event_id text not null, body blob, revision integer not null,
        sent_revision integer not null, vtn_id text, tried integer not null, expires_at integer, place integer not null
    ) strict, without rowid;
INSERT INTO "outgoing" VALUES('opt-e1','e1',NULL,1,1,'report-7',1,1767358800000000,1);
INSERT INTO "outgoing" VALUES('refused','e1',NULL,1,1,NULL,0,NULL,4);
INSERT INTO "outgoing" VALUES('report-USAGE-1','e1',X'7B2262223A20327D',2,0,NULL,0,1767272400000000,3);
INSERT INTO "outgoing" VALUES('status-e1','e1',X'7B2261223A20317D',1,0,NULL,1,NULL,2);
CREATE TABLE override (
        circuit_id text primary key, since integer not null, reason text not null, event_ids text not null
    ) strict, without rowid;
INSERT INTO "override" VALUES('heater',1767272400000000,'switched on by hand – „selbst“','["e1", "e2"]');
CREATE TABLE own_limit (
        circuit_id text primary key, limit_kw text not null, since integer not null, seen integer not null,
        taken integer not null
    ) strict, without rowid;
INSERT INTO "own_limit" VALUES('ev','0',1767268800000000,1,0);
INSERT INTO "own_limit" VALUES('heater','1.250',1767272400000000,0,1);
CREATE TABLE past_decision (
        number integer primary key, event_id text not null, event_name text, program_name text,
        opted_in integer not null, reason text, decided_at integer not null, start integer not null, end integer,
        reports_only integer not null
    ) strict;
INSERT INTO "past_decision" VALUES(1,'e1','shed','peak',1,NULL,1767265200000000,1767268800000000,1767272400000000,0);
INSERT INTO "past_decision" VALUES(2,'e2',NULL,NULL,0,'quiet hours 22:00-06:00 UTC',1767268800000000,1767268800000000,NULL,1);
CREATE TABLE program (id text primary key, body blob not null) strict, without rowid;
INSERT INTO "program" VALUES('p1',X'7B2270726F6772616D4E616D65223A227065616B222C226964223A227031222C22637265617465644461746554696D65223A22323032352D31322D33315431323A30303A30305A222C226D6F64696669636174696F6E4461746554696D65223A22323032352D31322D33315431323A30303A30305A227D');
CREATE TABLE sample (at integer primary key, kw text not null) strict;
INSERT INTO "sample" VALUES(1767272400000000,'{"fridge": "0.2", "ev": "0.000"}');
INSERT INTO "sample" VALUES(1767272410000000,'{"fridge": "0.2", "ev": "0.001"}');
INSERT INTO "sample" VALUES(1767272420000000,'{"fridge": "0.2", "ev": "0.002"}');
CREATE TABLE stretch (
        id integer primary key, event_id text not null, interval_id integer not null, payload_type text not null,
        start integer not null, end integer, requested_kw text not null, unmet_kw text not null, ended_at integer
    , value_start integer, correction_kw text not null default '0', covered_us integer not null default 0, requested text not null default '0', net text not null default '0') strict;
INSERT INTO "stretch" VALUES(1,'e1',0,'DISPATCH_SETPOINT_RELATIVE',1767268800000000,1767272400000000,'2','0',1767272400000000,1767268800000000,'0',3600000000,'7200000000','7200000000.00');
INSERT INTO "stretch" VALUES(2,'e1',1,'DISPATCH_SETPOINT_RELATIVE',1767272400000000,NULL,'20','11.7500',NULL,1767272400000000,'0',0,'0','0');
CREATE TABLE stretch_circuit (
        stretch_id integer not null references stretch (id) on delete cascade, circuit_id text not null,
        place integer not null, original_kw text not null, shed_kw text not null, curtailed_kw text, final_kw text, covered_us integer not null default 0, requested text not null default '0', original text not null default '0', drawn text not null default '0', delivered text not null default '0',
        primary key (stretch_id, circuit_id)
    ) strict, without rowid;
INSERT INTO "stretch_circuit" VALUES(1,'ev',2,'7.25','2',NULL,'7.1',3600000000,'7200000000','26100000000.00','18900000000.00','7200000000.00');
INSERT INTO "stretch_circuit" VALUES(1,'fridge',0,'0.2','0',NULL,'0.21',3600000000,'0','684000000.00','684000000.00','0');
INSERT INTO "stretch_circuit" VALUES(1,'heater',1,'2.000','0',NULL,NULL,3600000000,'0','7200000000','7200000000','0');
INSERT INTO "stretch_circuit" VALUES(2,'ev',2,'7.25','7.25',NULL,NULL,0,'0','0','0','0');
INSERT INTO "stretch_circuit" VALUES(2,'fridge',0,'0.2','0',NULL,NULL,0,'0','0','0','0');
INSERT INTO "stretch_circuit" VALUES(2,'heater',1,'2.000','1.0000',NULL,NULL,0,'0','0','0','0');
CREATE INDEX stretch_event on stretch (event_id);
CREATE INDEX outgoing_event on outgoing (event_id);
CREATE INDEX outgoing_place on outgoing (place);
CREATE INDEX outgoing_unsent on outgoing (place) where revision > sent_revision;
COMMIT;
