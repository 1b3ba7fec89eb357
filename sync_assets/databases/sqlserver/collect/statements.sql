-- probe: which server answers, and what we may see. A right that a version does not know is NULL, not 0
select convert(nvarchar(128), serverproperty('ProductVersion')),
       convert(nvarchar(128), serverproperty('Edition')),
       convert(nvarchar(10), serverproperty('EngineEdition')),
       convert(nvarchar(2), has_perms_by_name(null, null, 'VIEW ANY DEFINITION')),
       convert(nvarchar(2), has_perms_by_name(null, null, 'VIEW ANY DATABASE'))

-- logins: principals of the server. Whether a password is empty is compared inside the server; no hash leaves it
insert into #found (kind, part, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
select 'login', N'', p.name, p.type, convert(varchar(200), p.sid, 1), convert(varchar(33), p.create_date, 126),
       p.is_disabled, p.is_fixed_role, p.default_database_name,
       s.is_policy_checked, s.is_expiration_checked,
       convert(varchar(33), convert(datetime, loginproperty(p.name, 'PasswordLastSetTime')), 126),
       convert(varchar(5), loginproperty(p.name, 'IsLocked')), convert(varchar(5), loginproperty(p.name, 'IsExpired')),
       convert(varchar(5), loginproperty(p.name, 'IsMustChange')),
       case when s.password_hash is null or @major >= 17 then null when pwdcompare(N'', s.password_hash) = 1 then 1 else 0 end
  from sys.server_principals p
  left join sys.sql_logins s on s.principal_id = p.principal_id

-- server_members: who is in which role of the server; roles nest
insert into #found (kind, part, a, b)
select 'member', N'', m.name, r.name
  from sys.server_role_members x
  join sys.server_principals m on m.principal_id = x.member_principal_id
  join sys.server_principals r on r.principal_id = x.role_principal_id

-- server_grants: rights on the server, on logins, endpoints and availability groups, with GRANT, WITH GRANT and DENY
insert into #found (kind, part, a, b, c, d, e, f, g, h)
select 'grant', N'', g.name, y.name, x.state, x.permission_name, x.class_desc, null, null,
       coalesce(t.name collate database_default, e.name collate database_default, a.name collate database_default,
                case when x.class = 100 then null else N'#' + convert(nvarchar(12), x.major_id) end)
  from sys.server_permissions x
  join sys.server_principals g on g.principal_id = x.grantee_principal_id
  left join sys.server_principals y on y.principal_id = x.grantor_principal_id
  left join sys.server_principals t on x.class = 101 and t.principal_id = x.major_id
  left join sys.endpoints e on x.class = 105 and e.endpoint_id = x.major_id
  left join sys.availability_replicas v on x.class = 108 and v.replica_metadata_id = x.major_id
  left join sys.availability_groups a on a.group_id = v.group_id

-- databases: all of them, and whether we may enter and see definitions there
insert into #found (kind, part, a, b, c, d, e, f)
select 'database', d.name, convert(varchar(12), d.database_id), convert(varchar(33), d.create_date, 126), d.state_desc,
       convert(varchar(2), has_dbaccess(d.name)),
       convert(varchar(2), has_perms_by_name(quotename(d.name), 'DATABASE', 'VIEW DEFINITION')),
       convert(varchar(12), d.source_database_id)
  from sys.databases d

-- users_of_database: its users and roles; the login behind a user is found by its sid, `dbo` has the owner's
insert into #found (kind, part, a, b, c, d, e, f, g, h)
select 'user', @part, p.name, p.type, convert(varchar(200), p.sid, 1), convert(varchar(33), p.create_date, 126),
       convert(varchar(12), p.principal_id), p.is_fixed_role, p.authentication_type_desc, l.name
  from sys.database_principals p
  left join master.sys.server_principals l on l.sid = p.sid and l.type <> 'R'

-- members_of_database: who is in which role of the database
insert into #found (kind, part, a, b)
select 'member', @part, m.name, r.name
  from sys.database_role_members x
  join sys.database_principals m on m.principal_id = x.member_principal_id
  join sys.database_principals r on r.principal_id = x.role_principal_id

-- grants_of_database: names come from this database's own catalogs, never from an id without its database
insert into #found (kind, part, a, b, c, d, e, f, g, h, i)
select 'grant', @part, g.name, y.name, x.state, x.permission_name, x.class_desc,
       coalesce(os.name collate database_default, sc.name collate database_default, ts.name collate database_default,
                xs.name collate database_default),
       o.type,
       coalesce(o.name collate database_default, t.name collate database_default, xc.name collate database_default,
                u.name collate database_default, am.name collate database_default, ce.name collate database_default,
                sk.name collate database_default, ak.name collate database_default,
                case when x.class in (0, 3) then null else N'#' + convert(nvarchar(12), x.major_id) end),
       case when x.class = 1 and x.minor_id <> 0 then coalesce(c.name collate database_default, N'#' + convert(nvarchar(12), x.minor_id)) end
  from sys.database_permissions x
  join sys.database_principals g on g.principal_id = x.grantee_principal_id
  left join sys.database_principals y on y.principal_id = x.grantor_principal_id
  left join sys.all_objects o on x.class = 1 and o.object_id = x.major_id
  left join sys.schemas os on os.schema_id = o.schema_id
  left join sys.all_columns c on x.class = 1 and c.object_id = x.major_id and c.column_id = x.minor_id
  left join sys.schemas sc on x.class = 3 and sc.schema_id = x.major_id
  left join sys.types t on x.class = 6 and t.user_type_id = x.major_id
  left join sys.schemas ts on ts.schema_id = t.schema_id
  left join sys.xml_schema_collections xc on x.class = 10 and xc.xml_collection_id = x.major_id
  left join sys.schemas xs on xs.schema_id = xc.schema_id
  left join sys.database_principals u on x.class = 4 and u.principal_id = x.major_id
  left join sys.assemblies am on x.class = 5 and am.assembly_id = x.major_id
  left join sys.certificates ce on x.class = 25 and ce.certificate_id = x.major_id
  left join sys.symmetric_keys sk on x.class = 24 and sk.symmetric_key_id = x.major_id
  left join sys.asymmetric_keys ak on x.class = 26 and ak.asymmetric_key_id = x.major_id
 where not (x.class = 1 and x.major_id < 0 and x.grantee_principal_id = 0 and x.grantor_principal_id = 1 and x.state = 'G')

-- files: sizes in pages of 8 KB as the server knows them; FILESTREAM is 0 there, tempdb has its size at start
insert into #found (kind, part, a, b)
select 'file', d.name, f.type_desc, convert(varchar(20), sum(convert(bigint, f.size)) * 8192)
  from sys.master_files f
  join sys.databases d on d.database_id = f.database_id
 group by d.name, f.type_desc

-- snapshots: what sparse files of database snapshots really take; needs VIEW SERVER STATE
insert into #found (kind, part, a, b)
select 'sparse', d.name, 'ROWS', convert(varchar(20), sum(s.size_on_disk_bytes))
  from sys.databases d
 cross apply sys.dm_io_virtual_file_stats(d.database_id, null) s
 where d.source_database_id is not null
 group by d.name

-- files_of_database: sizes as the database itself knows them
insert into #found (kind, part, a, b)
select 'own_file', @part, f.type_desc, convert(varchar(20), sum(convert(bigint, f.size)) * 8192)
  from sys.database_files f
 group by f.type_desc

-- tables_of_database: the largest tables and indexed views with all their indexes
insert into #found (kind, part, a, b, c, d)
select top (@top) 'table', @part, s.name, o.name, convert(varchar(20), sum(p.reserved_page_count) * 8192),
       convert(varchar(20), sum(case when p.index_id in (0, 1) then p.row_count else 0 end))
  from sys.dm_db_partition_stats p
  join sys.objects o on o.object_id = p.object_id and o.type in ('U', 'V')
  join sys.schemas s on s.schema_id = o.schema_id
 group by s.name, o.name
 order by sum(p.reserved_page_count) desc, s.name, o.name

-- batch: the frame around the pieces above. Each database is entered by USE, so that every name is its own, and no cursor is open meanwhile
set nocount on;
set lock_timeout 1000;
if object_id('tempdb..#found') is not null drop table #found;
create table #found (kind varchar(10) not null, part nvarchar(128) not null, a nvarchar(128), b nvarchar(128),
    c nvarchar(200), d nvarchar(128), e nvarchar(128), f nvarchar(128), g nvarchar(128), h nvarchar(128),
    i nvarchar(128), j nvarchar(128), k nvarchar(128), l nvarchar(128), m nvarchar(128), n nvarchar(128));
declare @major int = {major};
declare @top int = {top};
{server};
declare @id int = 0, @name sysname, @statement nvarchar(max);
while 1 = 1
begin
    set @id = (select min(database_id) from sys.databases
                where database_id > @id and state = 0 and has_dbaccess(name) = 1);
    if @id is null break;
    set @name = db_name(@id);
{each}
end;
select kind, part, a, b, c, d, e, f, g, h, i, j, k, l, m, n from #found order by kind, part, a, b, c, d, e, f, g, h, i;
drop table #found;

-- step: one piece in one database; what fails there is said and leaves no half behind
    begin try
        set @statement = N'use ' + quotename(@name) + N'; ' + N'{text}';
        exec sys.sp_executesql @statement, N'@part nvarchar(128), @top int', @part = @name, @top = @top;
    end try
    begin catch
        delete from #found where part = @name collate latin1_general_bin2 and kind in ({kinds});
        insert into #found (kind, part, a, b) values ('failure', @name, '{section}', convert(varchar(12), error_number()));
    end catch;

-- server_step: one piece about the server that may be refused
begin try
{text};
end try
begin catch
    insert into #found (kind, part, a, b) values ('failure', N'', '{section}', convert(varchar(12), error_number()));
end catch
