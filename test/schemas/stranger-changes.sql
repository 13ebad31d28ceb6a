-- One more day in stranger.sql: rows come, change and go in every corner, often unnoticed.
insert into "user" (id, email, "displayName", "managerId", "createdAt")
values (md5('u41')::uuid, 'u41@example.com', 'New', md5('u40')::uuid, '2025-01-01Z');
update "user" set "managerId" = md5('u41')::uuid, is_deleted = true where id = md5('u1')::uuid;
update "user" set settings = settings || '{"theme": null}', tags = tags || 'z'::text where id = md5('u2')::uuid;
-- numeric has infinity from PostgreSQL 14 on.
insert into "Account" values (md5('a13')::uuid, md5('u41')::uuid, null, 'Account 13',
  (case when current_setting('server_version_num')::integer < 140000 then 'NaN' else 'infinity' end)::numeric, 'infinity', null);
insert into "Contact" values (md5('c21')::uuid, md5('a13')::uuid, null, '::1', null);
update "Account" set "primaryContactId" = md5('c21')::uuid, balance = 1.1000 where balance = 1.10 or id = md5('a13')::uuid;
insert into product (shelf_id, sku, price, status) values (1, 'NEW', 0, 'draft');
update product set price = price + 0.01 where product_id % 5 = 0;
update shelf set best_product_id = 31 where shelf_id = 3;
insert into "order" values (201, md5('u41')::uuid, md5('a13')::uuid, md5('c21')::uuid, 'NEW', 1, '2025-01-01', null);
insert into "OrderItem" values (201, 1, 31, 1, 1);
update "order" set status = 'it''s complicated', total = total + 1 where id % 50 = 0;
delete from order_item_note where id > 8;
delete from "order" where id in (100, 101);
delete from product_tag where tag = '' and product_id < 4;
insert into "Billing".invoice values ('F-26', 201, 'F-25', '2025-01-01Z', null, null);
delete from audit.log where ctid in (select ctid from audit.log where action = 'tick' limit 2);
insert into audit.log values ('2025-01-01Z', null, null, 'null');
update settings set key = 'palette' where key = 'theme';
update event set at = '2023-01-01Z' where id = 1;
insert into event values (500, '2024-02-29Z', null, 'leap', null);
delete from event where id = 7;
insert into legacy.t1 values (1, 1), (5, null);
insert into legacy.empty_one values (1, '');
update legacy."tbl Customers (old)" set "Name, full" = null, "_legacy" = 'green' where "ID" = 1;
